//! Requests to a running `up`.

use serde_json::Value;

/// Status and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

pub(crate) fn get(url: &str) -> Answer {
    let mut response = agent().get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string().unwrap() }
}

pub(crate) fn post(url: &str, json: &str) -> Answer {
    let request = agent().post(url).header("Content-Type", "application/json");
    let mut response = request.send(json).unwrap_or_else(|error| panic!("{url}: {error}"));
    Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string().unwrap() }
}
