//! The declared fields as a tree of JSON keys.

/// Two fields of which one lies within the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathClash {
    /// The outer field.
    pub(crate) outer: String,
    /// The inner field.
    pub(crate) inner: String,
}

/// The fields of interest of an event, numbered from 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldTree {
    paths: Vec<String>,
    pub(super) root: Node,
}

/// The keys of interest of one JSON object.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) children: Vec<(Box<str>, Target)>,
}

/// What a key leads to.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// A field.
    Field(usize),
    /// An object with fields in it.
    Object(Node),
}

impl FieldTree {
    /// The number of the field at the dotted `path`; a new one where it is not known yet.
    pub(crate) fn add(&mut self, path: &str) -> Result<usize, PathClash> {
        if let Some(known) = self.paths.iter().position(|known| known == path) {
            return Ok(known);
        }
        for known in &self.paths {
            if is_within(path, known) {
                return Err(PathClash { outer: known.clone(), inner: path.to_owned() });
            }
            if is_within(known, path) {
                return Err(PathClash { outer: path.to_owned(), inner: known.clone() });
            }
        }
        let index = self.paths.len();
        self.paths.push(path.to_owned());
        self.root.add(path, index);
        Ok(index)
    }

    /// Number of fields.
    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// The path of field `index`.
    pub(crate) fn path(&self, index: usize) -> &str {
        self.paths.get(index).map_or("", String::as_str)
    }
}

impl Node {
    fn add(&mut self, path: &str, index: usize) {
        let Some((key, rest)) = path.split_once('.') else {
            self.children.push((path.into(), Target::Field(index)));
            return;
        };
        let known = self.children.iter_mut().find_map(|(name, target)| match target {
            Target::Object(node) if **name == *key => Some(node),
            _ => None,
        });
        if let Some(node) = known {
            return node.add(rest, index);
        }
        let mut node = Self::default();
        node.add(rest, index);
        self.children.push((key.into(), Target::Object(node)));
    }

    /// The place of `key`. Events mostly have their keys in the same order, so the search begins at `hint`.
    pub(super) fn find(&self, key: &str, hint: usize) -> Option<usize> {
        let hint = hint.min(self.children.len());
        let (before, after) = self.children.split_at(hint);
        let at = |children: &[(Box<str>, Target)]| children.iter().position(|(name, _)| **name == *key);
        at(after).map(|index| index + hint).or_else(|| at(before))
    }
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbered_once() {
        let mut tree = FieldTree::default();
        assert_eq!(tree.add("trip.fare"), Ok(0));
        assert_eq!(tree.add("zone"), Ok(1));
        assert_eq!(tree.add("trip.fare"), Ok(0));
        assert_eq!(tree.add("trip.tip"), Ok(2));
        assert_eq!((tree.len(), tree.path(2), tree.root.children.len()), (3, "trip.tip", 2));
    }

    #[test]
    fn a_field_cannot_lie_within_another() {
        let mut tree = FieldTree::default();
        tree.add("trip").unwrap();
        tree.add("tripod.legs").unwrap();
        let clash = PathClash { outer: "trip".to_owned(), inner: "trip.fare".to_owned() };
        assert_eq!(tree.add("trip.fare"), Err(clash));
        let clash = PathClash { outer: "tripod".to_owned(), inner: "tripod.legs".to_owned() };
        assert_eq!(tree.add("tripod"), Err(clash));
    }
}
