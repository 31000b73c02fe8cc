//! `config.yaml` as a tree that knows its lines, so that all its faults can be named with their lines, not only the first.

mod de;
mod expected;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

use pulse_core::use_case::raw::RawUseCase;

/// More faults than this help nobody.
const MAX_FAULTS: usize = 100;

/// A YAML text as a tree.
#[derive(Debug)]
pub(super) struct Document {
    root: Node,
    /// Paths of what was taken out because it has a form of its own.
    removed: Vec<String>,
}

/// A value and the line where it begins.
#[derive(Debug)]
struct Node {
    line: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Map(Vec<Entry>),
    /// Items with the places that they have in the text.
    List(Vec<(usize, Node)>),
    Scalar(Scalar),
}

#[derive(Debug)]
struct Entry {
    key: String,
    line: u64,
    value: Node,
}

#[derive(Debug, Clone)]
enum Scalar {
    Null,
    Boolean(bool),
    Integer(i64),
    Large(u64),
    Float(f64),
    Text(String),
}

/// A fault, the path of the key that has it, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlFault {
    pub(super) path: String,
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Document {
    /// Parses `text`.
    pub(super) fn parse(text: &str) -> Result<Self, YamlFault> {
        let tree: Result<Spanned<Tree>, _> = serde_saphyr::from_str(text);
        match tree {
            Ok(tree) => Ok(Self { root: tree.into(), removed: Vec::new() }),
            Err(error) => Err(YamlFault {
                path: String::new(),
                line: error.location().and_then(|location| to_line(location.line())),
                message: error.without_snippet().to_string(),
            }),
        }
    }

    /// The configuration, and every key that is not known or has a value of another form; those are taken out of the tree.
    pub(super) fn read(&mut self) -> (Option<RawUseCase>, Vec<YamlFault>) {
        let mut faults = Vec::new();
        loop {
            let error = match RawUseCase::deserialize(&self.root) {
                Ok(raw) => return (Some(raw), faults),
                Err(error) => error,
            };
            if error.place.is_empty() || faults.len() == MAX_FAULTS {
                faults.push(YamlFault { path: String::new(), line: Some(1), message: error.message });
                return (None, faults);
            }
            let place: Vec<usize> = error.place.iter().rev().copied().collect();
            let (path, line) = self.root.remove(&place, String::new());
            if !error.unknown_key {
                self.removed.push(path.clone());
            }
            faults.push(YamlFault { path, line: to_line(line), message: error.message });
        }
    }

    /// Whether what is said of `path` only follows from something in it that was taken out.
    pub(super) fn is_consequence(&self, path: &str) -> bool {
        self.removed.iter().any(|removed| {
            removed.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Whether the list at `path`, or an item of it, was taken out.
    pub(super) fn lacks_items_of(&self, path: &str) -> bool {
        let is_item =
            |rest: &str| rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']') && !rest.contains('.'));
        self.removed.iter().any(|removed| removed.strip_prefix(path).is_some_and(is_item))
    }

    /// `path` with the places that its lists have in the text, and the line of the longest part of it that the text has.
    pub(super) fn locate(&self, path: &str) -> (String, Option<usize>) {
        let mut node = Some(&self.root);
        let (mut text, mut line) = (String::with_capacity(path.len()), None);
        for step in path.split_inclusive(['.', ']']).flat_map(|part| part.split_inclusive('[')) {
            let name = step.trim_end_matches(['.', '[', ']']);
            let next = match node.map(|node| &node.kind) {
                Some(Kind::Map(entries)) => entries.iter().find(|entry| entry.key == name).map(|entry| {
                    line = Some(entry.line);
                    (None, &entry.value)
                }),
                Some(Kind::List(items)) => {
                    name.parse().ok().and_then(|at: usize| items.get(at)).map(|(place, item)| {
                        line = Some(item.line);
                        (Some(place), item)
                    })
                }
                _ => None,
            };
            match next {
                Some((Some(place), _)) => text.push_str(&step.replacen(name, &place.to_string(), 1)),
                _ => text.push_str(step),
            }
            if !name.is_empty() {
                node = next.map(|(_, node)| node);
            }
        }
        (text, line.and_then(to_line))
    }
}

fn to_line(line: u64) -> Option<usize> {
    usize::try_from(line).ok().filter(|&line| line > 0)
}

impl Node {
    /// Takes out what stands at `place`: its path, which goes on from `path`, and its line.
    fn remove(&mut self, place: &[usize], mut path: String) -> (String, u64) {
        let Some((&at, rest)) = place.split_first() else { return (path, self.line) };
        match &mut self.kind {
            Kind::Map(entries) if at < entries.len() => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&entries[at].key);
                if rest.is_empty() { (path, entries.remove(at).line) } else { entries[at].value.remove(rest, path) }
            }
            Kind::List(items) if at < items.len() => {
                path = format!("{path}[{}]", items[at].0);
                if rest.is_empty() { (path, items.remove(at).1.line) } else { items[at].1.remove(rest, path) }
            }
            _ => (path, self.line),
        }
    }
}

/// What serde can read; [`Node`] is the same with numbered items.
enum Tree {
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
    List(Vec<Spanned<Tree>>),
    Scalar(Scalar),
}

impl From<Spanned<Tree>> for Node {
    fn from(tree: Spanned<Tree>) -> Self {
        let line = tree.referenced.line();
        let kind = match tree.value {
            Tree::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry { line: key.referenced.line(), key: key.value, value: value.into() })
                    .collect(),
            ),
            Tree::List(items) => Kind::List(items.into_iter().map(Self::from).enumerate().collect()),
            Tree::Scalar(scalar) => Kind::Scalar(scalar),
        };
        Self { line, kind }
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

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Boolean(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Integer(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Large(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Scalar::Null))
    }
}

#[cfg(test)]
mod tests;
