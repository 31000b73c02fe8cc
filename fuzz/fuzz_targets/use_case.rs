//! `config.yaml` and `sample.csv`, divided by the first zero byte: a use case or faults.
#![no_main]

use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: tempfile::TempDir = {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("a")).expect("a folder");
        folder
    };
}

fuzz_target!(|data: &[u8]| {
    let (config, sample) = match data.iter().position(|&byte| byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    FOLDER.with(|folder| {
        let place = folder.path().join("a");
        std::fs::write(place.join("config.yaml"), config).expect("a file");
        std::fs::write(place.join("sample.csv"), sample).expect("a file");
        let report = pulse_features::check(folder.path(), "a");
        assert_eq!(report.dir.is_some(), report.faults.is_empty());
    });
});
