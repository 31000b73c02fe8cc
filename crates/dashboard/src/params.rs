//! Query parameters: taken one by one, with every fault reported at once.

use std::ops::RangeInclusive;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use jiff::Timestamp;
use pulse_core::Severity;
use pulse_core::ports::{AnomalyFilter, GroupBy};

use crate::problem::{ParameterFault, Problem};

/// The longest value shown back in a problem, in characters.
const SHOWN: usize = 100;

/// The parameters of a request that were not taken yet, and the faults of those that were.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<ParameterFault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<Query<Vec<(String, String)>>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match query {
            Ok(Query(pairs)) => Ok(Self { pairs, faults: Vec::new() }),
            Err(error) => Err(Problem::bad_parameters(vec![ParameterFault {
                parameter: "query".to_owned(),
                value: shorten(parts.uri.query().unwrap_or_default()),
                message: format!("{}: write name=value pairs, percent-encoded", error.body_text()),
            }])),
        }
    }
}

impl Params {
    fn fault(&mut self, parameter: &str, value: &str, message: impl Into<String>) {
        self.faults.push(ParameterFault {
            parameter: parameter.to_owned(),
            value: shorten(value),
            message: message.into(),
        });
    }

    /// Takes a parameter; an empty one counts as not given.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.pairs.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.pairs.remove(position);
        if let Some(again) = self.pairs.iter().position(|(key, _)| key == name) {
            let (_, second) = self.pairs.remove(again);
            self.fault(name, &second, "is given twice: keep one");
        }
        (!value.is_empty()).then_some(value)
    }

    /// Takes a parameter through `parse`, whose error says what is wrong with it.
    pub(crate) fn take_with<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.take(name)?;
        parse(&value).map_err(|message| self.fault(name, &value, message)).ok()
    }

    /// Takes a whole number that lies in `range`.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.take_with(name, |value| {
            value
                .parse()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// Takes the `limit` of a list.
    pub(crate) fn limit(&mut self, default: u32, most: u32) -> u32 {
        let limit = self.number("limit", 1..=u64::from(most));
        limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(default)
    }

    /// Takes the parts of the filter that are not about time.
    pub(crate) fn filter(&mut self) -> AnomalyFilter {
        AnomalyFilter {
            use_case: self.take_with("use_case", name),
            entity: self.take_with("entity", name),
            detector: self.take_with("detector", name),
            severity: self.take_with("severity", severity),
            from: None,
            to: None,
        }
    }

    /// Takes the whole filter.
    pub(crate) fn filter_with_period(&mut self) -> AnomalyFilter {
        let from = self.take_with("from", instant);
        let to = self.take_with("to", instant);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            self.fault("to", &to.to_string(), format!("must be later than from, which is {from}"));
        }
        AnomalyFilter { from, to, ..self.filter() }
    }

    /// Takes what to group by.
    pub(crate) fn group_by(&mut self) -> GroupBy {
        const WORDS: &str = "must be entity, detector, severity or use_case";
        let missing = !self.pairs.iter().any(|(key, value)| key == "by" && !value.is_empty());
        let by = self.take_with("by", |value| match value {
            "entity" => Ok(GroupBy::Entity),
            "detector" => Ok(GroupBy::Detector),
            "severity" => Ok(GroupBy::Severity),
            "use_case" => Ok(GroupBy::UseCase),
            _ => Err(WORDS.to_owned()),
        });
        if missing {
            self.fault("by", "", WORDS);
        }
        by.unwrap_or(GroupBy::Entity)
    }

    /// Reports a fault that shows only when parameters are seen together.
    pub(crate) fn refuse(&mut self, name: &str, value: &str, message: impl Into<String>) {
        self.fault(name, value, message);
    }

    /// Ends: what was not taken is unknown, and every fault is told.
    pub(crate) fn finish(mut self, known: &str) -> Result<(), Problem> {
        for (name, value) in std::mem::take(&mut self.pairs) {
            self.fault(&shorten(&name), &value, format!("is unknown: use {known}"));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::bad_parameters(self.faults)) }
    }
}

fn shorten(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}

fn name(value: &str) -> Result<String, String> {
    const LONGEST: usize = 1024;
    if value.len() > LONGEST { Err(format!("must have at most {LONGEST} bytes")) } else { Ok(value.to_owned()) }
}

fn severity(value: &str) -> Result<Severity, String> {
    [Severity::Warning, Severity::High, Severity::Critical]
        .into_iter()
        .find(|severity| severity.as_str() == value)
        .ok_or_else(|| "must be warning, high or critical".to_owned())
}

fn instant(value: &str) -> Result<Timestamp, String> {
    value.parse().map_err(|_| "must be a time of RFC 3339, such as 2026-01-31T08:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Params { pairs: pairs.collect(), faults: Vec::new() }
    }

    #[test]
    fn a_good_filter_is_taken_whole() {
        let mut params = params(&[("entity", "JFK Airport"), ("severity", "high"), ("from", "2026-01-31T08:00:00Z")]);
        let filter = params.filter_with_period();
        assert!(params.finish("entity").is_ok());
        assert_eq!(filter.entity.as_deref(), Some("JFK Airport"));
        assert_eq!(filter.severity, Some(Severity::High));
        assert_eq!(filter.from.unwrap().as_second(), 1_769_846_400);
    }

    #[test]
    fn every_fault_is_named() {
        let given = [("limit", "0"), ("severity", "bad"), ("from", "now"), ("colour", "red"), ("limit", "7")];
        let mut params = params(&given);
        params.filter_with_period();
        assert_eq!(params.limit(5, 10), 5);
        params.group_by();
        let problem = serde_json::to_value(params.finish("limit").unwrap_err()).unwrap();
        let names: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|fault| &fault["parameter"]).collect();
        assert_eq!(names, ["from", "severity", "limit", "limit", "by", "colour"]);
        assert_eq!(problem["status"], 400);
    }

    #[test]
    fn an_empty_value_is_none() {
        let mut params = params(&[("entity", "")]);
        assert_eq!(params.filter().entity, None);
        assert!(params.finish("entity").is_ok());
    }
}
