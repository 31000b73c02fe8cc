//! Files that no module declares: nobody compiles them, and nothing says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{assert_none, packages, relative, rust_files};

#[test]
fn every_file_is_compiled() {
    let (mut files, mut compiled) = (Vec::new(), BTreeSet::new());
    for package in packages() {
        rust_files(package.folder(), &mut files);
        for target in &package.targets {
            let folder = target.src_path.parent().unwrap();
            follow(&target.src_path, folder, &mut compiled);
        }
    }
    let orphans: Vec<String> =
        files.iter().filter(|file| !compiled.contains(*file)).map(|file| relative(file)).collect();
    assert_none("no `mod` declares these files: declare them, or delete them", &orphans);
}

/// Adds `file`, and those of the modules that it declares, which lie in `folder`.
fn follow(file: &Path, folder: &Path, found: &mut BTreeSet<PathBuf>) {
    if !found.insert(file.to_owned()) {
        return;
    }
    for (name, path) in declared(&fs::read_to_string(file).unwrap()) {
        let module = match path {
            Some(path) => file.with_file_name(path),
            None => folder.join(format!("{name}.rs")),
        };
        if module.is_file() {
            follow(&module, &folder.join(name), found);
        }
    }
}

/// The modules that a source text declares in files of their own, and the paths of these where they are stated.
fn declared(text: &str) -> Vec<(&str, Option<&str>)> {
    let (mut modules, mut path) = (Vec::new(), None);
    for line in text.lines().map(str::trim_start) {
        if let Some(stated) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            path = Some(stated);
        }
        if let Some((visibility, name)) = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod "))
            && (visibility.is_empty() || visibility.starts_with("pub"))
        {
            modules.push((name, path.take()));
        }
    }
    modules
}

#[test]
fn declarations_are_found() {
    let text = "//! mod a;\nmod b;\npub mod c;\n#[path = \"x/y.rs\"]\n#[cfg(test)]\npub(crate) mod d;\n    mod e;\nmod f {\nuse mod_g;\n";
    assert_eq!(declared(text), [("b", None), ("c", None), ("d", Some("x/y.rs")), ("e", None)]);
}
