//! What the running Prometheus knows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Between two points of a curve.
const RESOLUTION: &str = "15s";
/// Longer than any answer takes on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Its HTTP API.
#[derive(Debug)]
pub(super) struct Prometheus {
    base: String,
    agent: ureq::Agent,
}

/// A series with its points.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Series {
    /// The value of a label.
    pub(super) fn label(&self, name: &str) -> &str {
        self.metric.get(name).map_or("", String::as_str)
    }

    /// The values that are numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        let texts = self.value.iter().chain(&self.values).map(|(_, text)| text.parse::<f64>());
        texts.filter_map(Result::ok).filter(|value| !value.is_nan())
    }
}

impl Prometheus {
    pub(super) fn new(port: u16) -> Self {
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Self { base: format!("http://127.0.0.1:{port}/api/v1"), agent: agent.into() }
    }

    /// The series that `expr` gives now.
    ///
    /// # Errors
    /// When Prometheus refuses it, or is away.
    pub(super) fn query(&self, expr: &str) -> anyhow::Result<Vec<Series>> {
        #[derive(Deserialize)]
        struct Result {
            result: Vec<Series>,
        }
        let Result { result } = self.get("query", &[("query", expr)])?;
        Ok(result)
    }

    /// The curves that `expr` gives for the time up to now.
    ///
    /// # Errors
    /// When Prometheus refuses it, or is away.
    pub(super) fn curves(&self, expr: &str, past: Duration) -> anyhow::Result<Vec<Series>> {
        self.query(&format!("({expr})[{}s:{RESOLUTION}]", past.as_secs()))
    }

    /// The one number that `expr` gives now; none where it gives nothing.
    ///
    /// # Errors
    /// When Prometheus refuses it, or is away.
    pub(super) fn number(&self, expr: &str) -> anyhow::Result<Option<f64>> {
        Ok(self.query(expr)?.first().and_then(|series| series.numbers().next()))
    }

    /// The values that a label has in the series of `selector`.
    ///
    /// # Errors
    /// When Prometheus refuses it, or is away.
    pub(super) fn label_values(&self, selector: &str, label: &str) -> anyhow::Result<Vec<String>> {
        self.get(&format!("label/{label}/values"), &[("match[]", selector)])
    }

    /// Names of the alerts that fire, whether or not somebody is told.
    ///
    /// # Errors
    /// When Prometheus is away.
    pub(super) fn firing(&self) -> anyhow::Result<Vec<String>> {
        let alerts = self.query("ALERTS{alertstate=\"firing\"}")?;
        Ok(alerts.iter().map(|alert| alert.label("alertname").to_owned()).collect())
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let request = self.agent.get(format!("{}/{path}", self.base)).query_pairs(query.iter().copied());
        let text = request.call().context("Prometheus does not answer")?.into_body().read_to_string()?;
        let mut answer: Value = serde_json::from_str(&text).with_context(|| format!("Prometheus says {text}"))?;
        ensure!(answer["status"] == "success", "Prometheus: {}", answer["error"]);
        serde_json::from_value(answer["data"].take()).context("an answer of another form")
    }
}
