//! A rule in `config.yaml`: only its text, or with what to say where an event breaks it.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A rule: only its text, or in full.
#[derive(Debug, Clone)]
pub enum RawRule {
    /// Only its text.
    Text(String),
    /// In full.
    Full(RawFullRule),
}

/// A rule in full.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFullRule {
    /// Two sides and a comparison between them, such as `total_amount >= fare_amount + tip_amount`.
    pub rule: String,
    /// What to say of an event that breaks it.
    #[serde(default)]
    pub message: Option<String>,
}

/// By hand, as for features: an untagged enum would hide which key is wrong.
impl<'de> Deserialize<'de> for RawRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RuleVisitor;

        impl<'de> Visitor<'de> for RuleVisitor {
            type Value = RawRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule such as `total >= fare`, or `rule` and `message`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawRule, E> {
                Ok(RawRule::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawRule, A::Error> {
                RawFullRule::deserialize(MapAccessDeserializer::new(map)).map(RawRule::Full)
            }
        }

        deserializer.deserialize_any(RuleVisitor)
    }
}
