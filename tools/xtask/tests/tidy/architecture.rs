//! The code map of ARCHITECTURE.md names every crate and what it depends on, and nothing that does not exist.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::{Package, assert_none, packages, root};

/// A row of the code map.
struct Row {
    /// One folder, or several that are told of together.
    folders: Vec<String>,
    knows: String,
}

/// The rows of the table whose first column is `crate`.
fn code_map() -> Vec<Row> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    text.lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .skip(2)
        .map_while(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let folders = cells[0].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Row { folders, knows: cells.last().unwrap().to_string() }
        })
        .collect()
}

/// The last part of a package's folder, by which the code map names it.
fn folder(package: &Package) -> String {
    package.folder().file_name().unwrap().to_string_lossy().into_owned()
}

/// The folders of the packages of ours that `package` depends on, those of its tests left out.
fn knows<'a>(package: &Package, packages: &'a [Package]) -> impl Iterator<Item = String> + use<'a> {
    let names: BTreeSet<String> =
        package.dependencies.iter().filter(|d| d.kind.is_none()).map(|dependency| dependency.name.clone()).collect();
    packages.iter().filter(move |other| names.contains(&other.name)).map(folder)
}

#[test]
fn the_code_map_names_the_crates_that_exist() {
    let mapped: BTreeSet<String> = code_map().into_iter().flat_map(|row| row.folders).collect();
    let existing: BTreeSet<String> = packages().iter().map(folder).collect();
    assert_none("the code map of ARCHITECTURE.md lacks", &existing.difference(&mapped).cloned().collect::<Vec<_>>());
    assert_none("the code map of ARCHITECTURE.md invents", &mapped.difference(&existing).cloned().collect::<Vec<_>>());
}

#[test]
fn the_code_map_knows_who_depends_on_whom() {
    let packages = packages();
    let rows = code_map();
    let place = |name: &str| rows.iter().position(|row| row.folders.iter().any(|folder| folder == name));
    let mut faults = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        // Tools help with the work; they are no part of what is layered.
        let [name] = row.folders.as_slice() else { continue };
        let Some(package) = packages.iter().find(|package| folder(package) == *name) else { continue };
        let real: BTreeSet<String> = knows(package, &packages).collect();
        let told: BTreeSet<String> =
            row.knows.split(',').map(|word| word.trim().to_owned()).filter(|word| word != "–").collect();
        if row.knows != "all" && told != real {
            let real: Vec<String> = real.iter().cloned().collect();
            faults.push(format!("{name} knows of {}, not of {}", real.join(", "), row.knows));
        }
        for above in real.iter().filter(|other| place(other).is_some_and(|place| place <= index)) {
            faults.push(format!("{name} depends on {above}, which does not stand below it"));
        }
    }
    assert_none("the code map of ARCHITECTURE.md is wrong", &faults);
}

/// Paths in the text, as in `crates/core/src/ports.rs`, are true.
#[test]
fn every_path_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let gone: Vec<String> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| ["crates/", "tools/", "docs/", "usecases/"].iter().any(|top| code.starts_with(top)))
        .filter(|path| !path.contains(['<', '*', ' ']) && !root().join(path).exists())
        .map(str::to_owned)
        .collect();
    assert_none("ARCHITECTURE.md names these, which do not exist", &gone);
}
