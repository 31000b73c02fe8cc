//! Waiting for what is to become so.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Longer than anything takes on a loaded machine that has no limit of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const STEP: Duration = Duration::from_millis(500);

/// Looks until `look` finds something; yields it. What cannot be looked at yet is looked at again.
///
/// # Errors
/// When nothing is found within `limit`: with what was in the way the last time.
pub(super) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        let found = look();
        if let Ok(Some(found)) = found {
            return Ok(found);
        }
        if started.elapsed() > limit {
            match found {
                Err(error) => return Err(error.context(format!("{what}: not within {} s", limit.as_secs()))),
                Ok(_) => bail!("{what}: not within {} s", limit.as_secs()),
            }
        }
        std::thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_and_says_what_was_in_the_way() {
        let mut looks = 0;
        let found = until("three", Duration::from_secs(60), || {
            looks += 1;
            if looks == 1 { bail!("not there") } else { Ok(Some(looks).filter(|&looks| looks == 3)) }
        });
        assert_eq!(found.unwrap(), 3);
        let error = until::<()>("it", Duration::ZERO, || bail!("no connection")).unwrap_err();
        assert_eq!(format!("{error:#}"), "it: not within 0 s: no connection");
        assert!(until::<()>("it", Duration::ZERO, || Ok(None)).is_err());
    }
}
