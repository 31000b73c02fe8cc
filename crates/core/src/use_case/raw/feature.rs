//! A feature in `config.yaml`: only its name, or its schema in the words of JSON Schema.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A feature: only its name, or in full.
#[derive(Debug, Clone)]
pub enum RawFeature {
    /// Only its name.
    Name(String),
    /// In full.
    Full(Box<RawFullFeature>),
}

/// By hand: an untagged enum would hide which key of a feature is wrong.
impl<'de> Deserialize<'de> for RawFeature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FeatureVisitor;

        impl<'de> Visitor<'de> for FeatureVisitor {
            type Value = RawFeature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a feature, or its schema")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RawFeature, E> {
                Ok(RawFeature::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFeature, A::Error> {
                RawFullFeature::deserialize(MapAccessDeserializer::new(map))
                    .map(|full| RawFeature::Full(Box::new(full)))
            }
        }

        deserializer.deserialize_any(FeatureVisitor)
    }
}

/// A feature in full, in the words of JSON Schema.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawFullFeature {
    /// Field of the event: a path into nested JSON. A dot always leads into an object: a field whose own name has one cannot be
    /// declared, and is kept and shown like any other unknown field.
    pub name: String,
    /// `number`, `integer`, `boolean` or `string`; none means `number`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// Unit, such as `s` or `USD`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What it means.
    #[serde(default)]
    pub description: String,
    /// Whether every event must have it; true where left out.
    #[serde(default)]
    pub required: Option<bool>,
    /// Smallest value.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Every value must be larger.
    #[serde(default)]
    pub exclusive_minimum: Option<f64>,
    /// Largest value.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Every value must be smaller.
    #[serde(default)]
    pub exclusive_maximum: Option<f64>,
    /// Every value is a whole multiple of it.
    #[serde(default)]
    pub multiple_of: Option<f64>,
    /// The only values there are.
    #[serde(rename = "enum", default)]
    pub allowed: Option<Vec<RawConstant>>,
    /// The only value there is.
    #[serde(rename = "const", default)]
    pub constant: Option<RawConstant>,
    /// Fewest characters of a text.
    #[serde(default)]
    pub min_length: Option<u32>,
    /// Most characters of a text.
    #[serde(default)]
    pub max_length: Option<u32>,
    /// Regular expression that matches somewhere in the text.
    #[serde(default)]
    pub pattern: Option<String>,
}

/// A value that a field may have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "must be a string, a number or a boolean")]
pub enum RawConstant {
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}
