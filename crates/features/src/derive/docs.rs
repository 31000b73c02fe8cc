//! Meaning and unit of a derived column, from the comment above its assignment.

/// Unit and description of the root field `name`, from the comment lines right above its first assignment in `source`.
pub(super) fn of(name: &str, source: &str) -> (Option<String>, String) {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| assigns(line, name)) else { return (None, String::new()) };
    let above = lines[..at].iter().rev().map_while(|line| line.strip_prefix('#')).count();
    let comment: Vec<&str> = lines[at - above..at].iter().map(|line| line.trim_start_matches('#').trim()).collect();
    let comment = comment.join(" ");
    match comment.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((unit, description)) => (Some(unit.trim().to_owned()), description.trim().to_owned()),
        None => (None, comment),
    }
}

/// The root fields that `source` seems to assign, as far as its lines tell.
pub(super) fn assigned(source: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for line in source.lines() {
        let Some(rest) = line.trim().strip_prefix('.') else { continue };
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if assigns(line.trim(), &rest[..end]) && !names.contains(&&rest[..end]) {
            names.push(&rest[..end]);
        }
    }
    names
}

/// Line, counted from 1, of the first assignment of the root field `name`.
pub(super) fn line_of(name: &str, source: &str) -> Option<usize> {
    source.lines().position(|line| assigns(line.trim(), name)).map(|at| at + 1)
}

/// Whether `line` assigns `.name`, perhaps together with an error (`.name, err = …`).
fn assigns(line: &str, name: &str) -> bool {
    let Some(rest) = line.strip_prefix('.').and_then(|rest| rest.strip_prefix(name)) else { return false };
    let rest = rest.trim_start();
    (rest.starts_with('=') && !rest.starts_with("==")) || rest.starts_with(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "# The header.\n\n# [mph] mean speed,\n# from start to end\n.speed = 1\n.other = .speed\n";

    #[test]
    fn the_comment_above_is_the_description() {
        let (unit, description) = of("speed", SOURCE);
        assert_eq!((unit.as_deref(), description.as_str()), (Some("mph"), "mean speed, from start to end"));
        assert_eq!(of("other", SOURCE), (None, String::new()));
        assert_eq!(of("absent", SOURCE), (None, String::new()));
        assert_eq!(line_of("speed", SOURCE), Some(5));
        assert_eq!(assigned(SOURCE), ["speed", "other"]);
    }
}
