//! Finds the line of a key such as `features[2].minimum` in a YAML text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// The lines of every key and item of a YAML text.
pub(super) struct Lines(Option<Spanned<Tree>>);

/// A YAML value of which only the structure is kept.
enum Tree {
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
    List(Vec<Spanned<Tree>>),
    Scalar,
}

impl Lines {
    /// Those of `yaml`; none where it cannot be parsed.
    pub(super) fn of(yaml: &str) -> Self {
        Self(serde_saphyr::from_str(yaml).ok())
    }

    /// The line, counted from 1, of the longest part of `path` that the text has.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let mut node = self.0.as_ref()?;
        let mut line = None;
        for step in path.split(['.', '[']) {
            let step = step.trim_end_matches(']');
            let next = match &node.value {
                Tree::Map(entries) => entries.iter().find(|(key, _)| key.value == step).map(|(key, value)| {
                    line = Some(key.referenced.line());
                    value
                }),
                Tree::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)).inspect(|item| {
                    line = Some(item.referenced.line());
                }),
                Tree::Scalar => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        line.and_then(|line| usize::try_from(line).ok()).filter(|&line| line > 0)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_lines() {
        let yaml = "name: a\nfeatures:\n  - x\n  - name: y\n    minimum: 1\nsimulator:\n  anomalies: [{name: z}]\n";
        let lines = Lines::of(yaml);
        assert_eq!(lines.find("name"), Some(1));
        assert_eq!(lines.find("features[1].minimum"), Some(5));
        assert_eq!(lines.find("features[0]"), Some(3));
        assert_eq!(lines.find("features[1].maximum"), Some(4));
        assert_eq!(lines.find("simulator.anomalies[0].changes[3]"), Some(7));
        assert_eq!(lines.find("kafka.topic"), None);
    }
}
