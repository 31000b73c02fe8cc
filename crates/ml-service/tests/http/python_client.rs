//! The client of ten lines in `docs/python-client.md` does what stands there.

use std::path::Path;
use std::process::Command;

use pulse_ml_service::{Limits, ServedUseCase, run};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::fixture::{load, service, trained};

/// What stands in the first block of `language`.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_client_prints_what_stands_below_it() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/python-client.md")).unwrap();
    let (program, expected) = (block(&text, "python").to_owned(), block(&text, "text").to_owned());
    assert!(program.lines().filter(|line| !line.is_empty()).count() <= 10, "{program}");
    let dir = load("../../usecases", "nyc_taxi");
    let served = ServedUseCase::new(&dir, dir.sample().unwrap().as_ref(), trained(&dir)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(run(listener, service(vec![served], Limits::default()), stop.clone()));
    let asked = tokio::task::spawn_blocking(move || {
        // Nothing but Python itself.
        Command::new("python3").args(["-S", "-c", &program]).env("PULSE_URL", url).output()
    });
    let output = asked.await.unwrap().expect("this test needs python3");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said == expected, "it printed\n{said}{complained}instead of\n{expected}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}
