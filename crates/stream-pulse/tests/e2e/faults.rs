//! What can be wrong at the start, said in plain words.

use std::net::TcpListener;

use crate::process::{Up, up};

fn fails(command: &mut std::process::Command, words: &[&str]) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_busy_port_is_named() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails(up(data.path(), &[]).env("PULSE__DASHBOARD__PORT", &port), &["dashboard", &port, "PULSE__DASHBOARD__PORT"]);
}

#[test]
fn an_unknown_use_case_is_named_with_those_there_are() {
    let data = tempfile::tempdir().unwrap();
    fails(&mut up(data.path(), &["--use-case", "nyc_taxis"]), &["nyc_taxis", "nyc_taxi"]);
}

#[test]
fn a_wrong_setting_is_named() {
    let data = tempfile::tempdir().unwrap();
    fails(up(data.path(), &[]).env("PULSE__DASHBOARD__PROT", "1"), &["prot"]);
    fails(up(data.path(), &[]).env("PULSE__DASHBOARD__PORT", "many"), &["dashboard.port", "many"]);
}

#[test]
fn a_damaged_file_is_named() {
    let data = tempfile::tempdir().unwrap();
    Up::start(&mut up(data.path(), &["--events", "2000", "--rate", "max", "--json"])).summary();
    let path = data.path().join("stream-pulse.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..64].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    fails(&mut up(data.path(), &[]), &["stream-pulse.db", "damaged"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    fails(&mut up(&file.join("data"), &[]), &["file"]);
}
