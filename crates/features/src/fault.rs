//! What is wrong with an event.

use serde::{Deserialize, Serialize};

/// The longest value that a fault quotes, in characters.
const MAX_QUOTED: usize = 100;

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The field, as a dotted path; empty for the whole payload.
    pub field: String,
    /// The value as JSON, cut to 100 characters; empty where there is none.
    pub value: String,
    /// What is wrong, and the mend.
    pub message: String,
}

impl Fault {
    /// A fault of the whole payload.
    pub(crate) fn payload(message: impl Into<String>) -> Self {
        Self::field("", String::new(), message)
    }

    /// A fault of one field.
    pub(crate) fn field(field: &str, value: String, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value, message: message.into() }
    }

    /// `json` cut to the length that a fault quotes.
    pub(crate) fn quote(mut json: String) -> String {
        if let Some((end, _)) = json.char_indices().nth(MAX_QUOTED) {
            json.truncate(end);
        }
        json
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.field.as_str(), self.value.as_str()) {
            ("", _) => f.write_str(&self.message),
            (field, "") => write!(f, "{field} {}", self.message),
            (field, value) => write!(f, "{field} {} (it is {value})", self.message),
        }
    }
}
