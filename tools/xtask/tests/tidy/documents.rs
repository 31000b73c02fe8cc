//! Documents are finished, and what they link to is there.

use std::path::{Path, PathBuf};

use crate::workspace::root;

/// Markdown files below `folder`; what git ignores and what begins with a dot is left out.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "data" {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Targets of `](…)` that lie in this repository, without their fragment.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let here = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']));
    here.map(|target| target.split('#').next().unwrap_or_default())
}

#[test]
fn links_and_placeholders() {
    let mut faults = Vec::new();
    let mut paths = Vec::new();
    documents(&root(), &mut paths);
    assert!(paths.iter().any(|path| path.ends_with("README.md")));
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains(concat!("@", "@")) {
            faults.push(format!("{}: a placeholder is left", path.display()));
        }
        let folder = path.parent().unwrap();
        let broken = links(&text).filter(|target| !folder.join(target).exists());
        faults.extend(broken.map(|target| format!("{}: {target} is not there", path.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_are_found() {
    let text = "[a](b.md) ![c](d/e.png) [f](https://g.h) [i](#j) [k](l.md#m)";
    assert_eq!(links(text).collect::<Vec<_>>(), ["b.md", "d/e.png", "l.md"]);
}
