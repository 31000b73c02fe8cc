//! Whether what Grafana's dashboards ask is answered: each query as Grafana sends it for a dashboard that was just opened.
//!
//! The queries go to Prometheus and Postgres themselves, as Grafana would send them: what its pages draw of the answers is not looked at.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use regex::Regex;
use serde_json::Value;

use super::World;
use super::prometheus::{Prometheus, Series};
use crate::step;

const FOLDER: &str = "grafana/dashboards";
/// What is looked at, up to now. Nothing of the stack is older.
const PAST: Duration = Duration::from_secs(15 * 60);
/// What Grafana makes of `$__rate_interval` there: four times the interval of the data source.
const RATE_INTERVAL: &str = "20s";

/// By its name and not by the loopback, where Postgres asks nobody for a password.
const AS_GRAFANA: &str = "postgresql://grafana:stream-pulse@postgres/anomalies_db";

/// A query of a panel or an annotation.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// Dashboard and title.
    pub(super) name: String,
    asks: Asks,
}

#[derive(Debug, Clone)]
enum Asks {
    /// PromQL, for now or for a time.
    Prometheus { expr: String, is_instant: bool },
    /// SQL, with a column `time` or not.
    Postgres { sql: String, has_time: bool },
}

/// Every query of every dashboard, its variables replaced.
///
/// # Errors
/// When a dashboard cannot be read, or asks in a way that is not known here.
pub(super) fn queries(prometheus: &Prometheus) -> anyhow::Result<Vec<Query>> {
    let mut queries = Vec::new();
    for entry in fs::read_dir(step::workspace().join(FOLDER)).context(FOLDER)? {
        let path = entry?.path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let variables = variables(&dashboard, prometheus).with_context(|| path.display().to_string())?;
        let title = dashboard["title"].as_str().unwrap_or_default();
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                queries.push(query(title, &panel["title"], &panel["datasource"], target, &variables)?);
            }
        }
        for annotation in list(&dashboard["annotations"]["list"]) {
            let target = if annotation["target"].is_object() { &annotation["target"] } else { annotation };
            queries.push(query(title, &annotation["name"], &annotation["datasource"], target, &variables)?);
        }
    }
    ensure!(!queries.is_empty(), "there is no query in {FOLDER}");
    Ok(queries)
}

impl Query {
    /// Whether there is data.
    ///
    /// # Errors
    /// When the query is refused.
    pub(super) fn has_data(&self, world: &World) -> anyhow::Result<bool> {
        let has_numbers = |series: Vec<Series>| series.iter().any(|series| series.numbers().next().is_some());
        match &self.asks {
            Asks::Prometheus { expr, is_instant: true } => Ok(has_numbers(world.prometheus.query(expr)?)),
            Asks::Prometheus { expr, is_instant: false } => Ok(has_numbers(world.prometheus.curves(expr, PAST)?)),
            Asks::Postgres { sql, has_time } => {
                let psql = ["psql", "--csv", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-f", "-", AS_GRAFANA];
                let table = world.stack.exec("postgres", &psql, sql.as_bytes())?;
                let mut lines = table.lines();
                let mut header = lines.next().unwrap_or_default().split(',');
                ensure!(!has_time || header.any(|name| name == "time"), "it has no column `time`");
                // A row of nothing but NULL is commas alone.
                Ok(lines.any(|line| line.chars().any(|c| c != ',')))
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn query(
    dashboard: &str,
    title: &Value,
    inherited: &Value,
    target: &Value,
    variables: &[(String, String)],
) -> anyhow::Result<Query> {
    let name = format!("{dashboard}: {}", title.as_str().unwrap_or_default());
    let source = if target["datasource"].is_object() { &target["datasource"] } else { inherited };
    let text = |key: &str| {
        let text = target[key].as_str().with_context(|| format!("{name} has no {key}"))?;
        expand(text, variables).with_context(|| name.clone())
    };
    let asks = match source["uid"].as_str() {
        Some("prometheus") => Asks::Prometheus { expr: text("expr")?, is_instant: target["instant"] == true },
        Some("postgres") => Asks::Postgres { sql: text("rawSql")?, has_time: target["format"] == "time_series" },
        _ => bail!("{name} asks {source}, which is not known"),
    };
    Ok(Query { name, asks })
}

/// The variables of a dashboard with the values that they have when it is opened: all of them, or the first.
fn variables(dashboard: &Value, prometheus: &Prometheus) -> anyhow::Result<Vec<(String, String)>> {
    let mut known = Vec::new();
    for variable in list(&dashboard["templating"]["list"]) {
        let name = variable["name"].as_str().context("a variable has no name")?;
        let value = match variable["allValue"].as_str() {
            Some(all) if variable["includeAll"] == true => all.to_owned(),
            _ => {
                let query = expand(variable["query"]["query"].as_str().context("a variable has no query")?, &known)?;
                let values = parts(&values(&query, prometheus)?, variable["regex"].as_str().unwrap_or_default())?;
                let first = values.first().with_context(|| format!("${name} has no value"))?;
                if variable["includeAll"] == true { values.join("|") } else { first.clone() }
            }
        };
        known.push((name.to_owned(), value));
    }
    Ok(known)
}

/// What Grafana's `label_values(selector, label)` gives.
fn values(query: &str, prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let arguments = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = arguments.and_then(|text| text.rsplit_once(',')).with_context(|| query.to_owned())?;
    prometheus.label_values(selector.trim(), label.trim())
}

/// What a variable's expression, between slashes, makes of its values: of those that match, the first group, or all of it.
fn parts(values: &[String], regex: &str) -> anyhow::Result<Vec<String>> {
    let Some(pattern) = regex.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        ensure!(regex.is_empty(), "{regex} does not stand between slashes");
        return Ok(values.to_vec());
    };
    let pattern = Regex::new(pattern)?;
    let part = |value: &String| {
        let found = pattern.captures(value)?;
        found.get(1).or(found.get(0)).map(|part| part.as_str().to_owned())
    };
    Ok(values.iter().filter_map(part).collect())
}

/// The text with variables and macros replaced.
fn expand(text: &str, variables: &[(String, String)]) -> anyhow::Result<String> {
    let mut text = text.replace("$__rate_interval", RATE_INTERVAL);
    while let Some((before, after)) = text.split_once("$__timeFilter(") {
        let (column, rest) = after.split_once(')').context("$__timeFilter is not closed")?;
        text = format!("{before}{column} BETWEEN now() - interval '{} seconds' AND now(){rest}", PAST.as_secs());
    }
    for (name, value) in variables {
        text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    // `$1` is a group of a regular expression.
    let unknown =
        text.split('$').skip(1).find(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '{' || c == '_'));
    ensure!(unknown.is_none(), "nobody knows what ${} is", unknown.unwrap_or_default());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_macros_are_replaced() {
        let variables = [("use_case".to_owned(), "taxi".to_owned()), ("feature".to_owned(), "f_bucket".to_owned())];
        let expand = |text| expand(text, &variables);
        assert_eq!(
            expand("rate(${feature}{a=\"$use_case\"}[$__rate_interval])").unwrap(),
            "rate(f_bucket{a=\"taxi\"}[20s])"
        );
        assert_eq!(
            expand("x WHERE $__timeFilter(t) AND y").unwrap(),
            "x WHERE t BETWEEN now() - interval '900 seconds' AND now() AND y"
        );
        assert_eq!(
            expand("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)$\")").unwrap(),
            "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)$\")"
        );
        assert!(expand("x{a=\"$other\"}").is_err());
    }

    #[test]
    fn values_are_cut_by_a_regular_expression() {
        let values = ["a_bucket", "b_count", "c_bucket"].map(str::to_owned);
        assert_eq!(parts(&values, "/(.*)_bucket/").unwrap(), ["a", "c"]);
        assert_eq!(parts(&values, "/^b.*/").unwrap(), ["b_count"]);
        assert_eq!(parts(&values, "").unwrap(), values);
        assert!(parts(&values, "(.*)_bucket").is_err());
    }

    #[test]
    fn every_dashboard_asks_what_is_known() {
        let known = ["use_case", "instance", "feature"].map(|name| (name.to_owned(), "x".to_owned()));
        for entry in fs::read_dir(step::workspace().join(FOLDER)).unwrap() {
            let dashboard: Value = serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            for panel in list(&dashboard["panels"]) {
                for target in list(&panel["targets"]) {
                    query("", &panel["title"], &panel["datasource"], target, &known).unwrap();
                }
            }
        }
    }
}
