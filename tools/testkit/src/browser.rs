//! A real Chromium, driven by a chromedriver that the test starts itself. What goes wrong with it panics: a test cannot go on.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::process::Stdio;
use std::time::Duration;

pub use fantoccini::Locator;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use url::{ParseError, Url};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with a profile of its own. Ends with the test.
#[derive(Debug)]
pub struct Browser {
    /// The page, and all that WebDriver can do with it.
    pub page: Client,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; `phone` makes its screen 390 by 844.
    pub async fn start(phone: bool) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver, of Debian's package chromium-driver, must be in PATH");
        let port = port_of(&mut driver).await;
        let profile = tempfile::tempdir().unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile, phone));
        let page = builder.connect(&format!("http://127.0.0.1:{port}")).await.expect("a session of Chromium");
        Self { page, driver, _profile: profile }
    }

    /// Runs a script that returns something.
    pub async fn eval(&self, script: &str) -> Value {
        self.page.execute(&format!("return {script}"), Vec::new()).await.unwrap()
    }

    /// Waits until an expression holds.
    pub async fn until(&self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(&format!("Boolean({condition})")).await != true {
            if Instant::now() > deadline {
                let text = self.eval("document.body.innerText").await;
                panic!("`{condition}` did not come true; the page says:\n{}", text.as_str().unwrap_or_default());
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// What the browser's console holds of warnings and errors.
    pub async fn complaints(&self) -> Vec<Value> {
        let log = self.page.issue_cmd(BrowserLog).await.unwrap();
        log.as_array().cloned().unwrap_or_default()
    }

    /// Closes it, and waits for its end.
    pub async fn end(mut self) {
        self.page.close().await.unwrap();
        self.driver.kill().await.unwrap();
    }
}

/// Chromedriver says on its output which port it took.
async fn port_of(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let port = line.split("on port ").nth(1).map(|rest| rest.trim_end_matches('.'));
        if let Some(port) = port.and_then(|digits| digits.parse().ok()).filter(|port| *port > 0) {
            // It writes little more; reading on keeps the pipe from filling.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port;
        }
    }
    panic!("chromedriver ended without naming its port");
}

fn capabilities(profile: &TempDir, phone: bool) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.path().display());
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1440,1000",
        &profile,
    ];
    let mut options = json!({ "args": arguments });
    if phone {
        options["mobileEmulation"] =
            json!({"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2, "touch": true}});
    }
    let all = json!({"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
    all.as_object().cloned().unwrap()
}

/// Chromium's command for the messages of the console.
#[derive(Debug)]
struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
