//! The object on which the program runs, kept from event to event so that its keys are allocated once.
//!
//! Programs read and assign fields of the root by name, again and again. A short list that is searched by length and text
//! answers that faster than the map of VRL's own target; what goes deeper is passed on to VRL.

use vrl::compiler::{SecretTarget, Target};
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath, PathPrefix};
use vrl::value::{KeyString, ObjectMap, Value};

/// The event as the program sees it: the declared fields that it reads and the fields that it assigns.
#[derive(Debug)]
pub(super) struct EventTarget {
    /// Fields of the root; none where one is missing. The first are the program's results.
    fields: Vec<(KeyString, Option<Value>)>,
    /// The root as a whole; kept up to date only for programs that read it as such.
    root: Value,
    reads_root: bool,
}

impl EventTarget {
    /// An event with the results `outputs`, and without any input. `reads_root`: the program reads the whole root.
    pub(super) fn new(outputs: &[KeyString], reads_root: bool) -> Self {
        let fields = outputs.iter().map(|name| (name.clone(), Some(Value::Null))).collect();
        Self { fields, root: Value::Object(ObjectMap::new()), reads_root }
    }

    /// Forgets the event before: the first `outputs` fields are null again, all others missing.
    pub(super) fn begin(&mut self, outputs: usize) {
        for (i, (_, value)) in self.fields.iter_mut().enumerate() {
            *value = (i < outputs).then_some(Value::Null);
        }
        if self.reads_root {
            let names = self.fields.iter().take(outputs).map(|(name, _)| (name.clone(), Value::Null));
            self.root = Value::Object(names.collect());
        }
    }

    /// Sets an input.
    pub(super) fn put(&mut self, path: &OwnedTargetPath, value: Value) {
        self.insert(&path.path, value);
    }

    /// Result `index`.
    pub(super) fn output(&self, index: usize) -> Option<&Value> {
        self.fields.get(index).and_then(|(_, value)| value.as_ref())
    }

    fn field(&self, name: &str) -> Option<&Option<Value>> {
        self.fields.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value)
    }

    fn field_mut(&mut self, name: &str) -> Option<&mut Option<Value>> {
        self.fields.iter_mut().find(|(known, _)| known.as_str() == name).map(|(_, value)| value)
    }

    fn insert(&mut self, path: &OwnedValuePath, value: Value) {
        let Some((name, rest)) = split(path) else { return };
        if self.reads_root {
            self.root.insert(path, value.clone());
        }
        let field = match self.fields.iter().position(|(known, _)| known.as_str() == name.as_str()) {
            Some(index) => &mut self.fields[index].1,
            None => {
                self.fields.push((name.clone(), None));
                let last = self.fields.len() - 1;
                &mut self.fields[last].1
            }
        };
        if rest.is_empty() {
            *field = Some(value);
        } else {
            field.get_or_insert_with(|| Value::Object(ObjectMap::new())).insert(rest, value);
        }
    }
}

/// The field of the root that `path` begins with, and the rest; none for the root itself and for what is no object.
fn split(path: &OwnedValuePath) -> Option<(&KeyString, &[OwnedSegment])> {
    match path.segments.as_slice() {
        [OwnedSegment::Field(name), rest @ ..] => Some((name, rest)),
        _ => None,
    }
}

impl Target for EventTarget {
    fn target_insert(&mut self, path: &OwnedTargetPath, value: Value) -> Result<(), String> {
        // Compiling has refused assignments to metadata and to the root.
        if path.prefix == PathPrefix::Event {
            self.insert(&path.path, value);
        }
        Ok(())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Value>, String> {
        if path.prefix == PathPrefix::Metadata {
            return Ok(None);
        }
        let Some((name, rest)) = split(&path.path) else { return Ok(Some(&self.root)) };
        let value = self.field(name).and_then(Option::as_ref);
        Ok(if rest.is_empty() { value } else { value.and_then(|value| value.get(rest)) })
    }

    fn target_get_mut(&mut self, path: &OwnedTargetPath) -> Result<Option<&mut Value>, String> {
        if path.prefix == PathPrefix::Metadata {
            return Ok(None);
        }
        let Some((name, rest)) = split(&path.path) else { return Ok(Some(&mut self.root)) };
        let value = self.field_mut(name).and_then(Option::as_mut);
        Ok(if rest.is_empty() { value } else { value.and_then(|value| value.get_mut(rest)) })
    }

    fn target_remove(&mut self, path: &OwnedTargetPath, compact: bool) -> Result<Option<Value>, String> {
        if path.prefix == PathPrefix::Metadata {
            return Ok(None);
        }
        let Some((name, rest)) = split(&path.path) else { return Ok(None) };
        if self.reads_root {
            self.root.remove(&path.path, compact);
        }
        let Some(field) = self.field_mut(name) else { return Ok(None) };
        Ok(if rest.is_empty() { field.take() } else { field.as_mut().and_then(|value| value.remove(rest, compact)) })
    }
}

/// Events have no secrets.
impl SecretTarget for EventTarget {
    fn get_secret(&self, _key: &str) -> Option<&str> {
        None
    }

    fn insert_secret(&mut self, _key: &str, _value: &str) {}

    fn remove_secret(&mut self, _key: &str) {}
}
