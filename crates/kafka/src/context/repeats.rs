//! The same line, from however many clients, is shown once in a while only.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For this long a line is not shown again.
const SILENCE: Duration = Duration::from_secs(10);
/// Lines that are remembered at the most.
const REMEMBERED: usize = 256;

static LINES: LazyLock<Mutex<Lines>> = LazyLock::new(Mutex::default);

/// Whether to show `message`, and if so, how often it was not shown since it last was.
pub(super) fn admit(message: &str) -> Option<u64> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).admit(message, Instant::now())
}

/// When each line was shown last, and how often it came since.
#[derive(Debug, Default)]
struct Lines(HashMap<String, (Instant, u64)>);

impl Lines {
    fn admit(&mut self, message: &str, now: Instant) -> Option<u64> {
        // Durations, and numbers of clients and connections, make no difference.
        let line: String = message.chars().filter(|c| !c.is_ascii_digit()).collect();
        if let Some((shown, since)) = self.0.get_mut(&line) {
            if now.saturating_duration_since(*shown) < SILENCE {
                *since += 1;
                return None;
            }
            *shown = now;
            return Some(std::mem::take(since));
        }
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (shown, _)| now.saturating_duration_since(*shown) < SILENCE);
        }
        if self.0.len() < REMEMBERED {
            self.0.insert(line, (now, 0));
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_in_ten_seconds() {
        let (mut lines, begin) = (Lines::default(), Instant::now());
        let shown: Vec<Option<u64>> =
            (0..25).map(|s| lines.admit(&format!("refused after {s} ms"), begin + Duration::from_secs(s))).collect();
        assert_eq!(shown.iter().flatten().copied().collect::<Vec<_>>(), [0, 9, 9]);
        assert_eq!(lines.admit("another", begin), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut lines, begin) = (Lines::default(), Instant::now());
        for i in 0..10_000_u32 {
            let name: String = i.to_string().chars().map(|c| (b'a' + c as u8 - b'0') as char).collect();
            assert_eq!(lines.admit(&name, begin), Some(0));
        }
        assert!(lines.0.len() <= REMEMBERED);
    }
}
