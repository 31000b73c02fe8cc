//! A closed classification of failures, so that callers never match on a backend.

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same call may succeed later: wait and try again.
    Retry,
    /// This one item can never succeed: set it aside and go on.
    DeadLetter,
    /// Somebody else does this work now: let go of it, and go on with the rest.
    Fenced,
    /// Nothing can go on without a person.
    Fatal,
}

/// An error that says what can be done about it.
pub trait Classify {
    /// The class of this error.
    fn class(&self) -> ErrorClass;

    /// The topic that does not take an item, where that is the error and the topic is known. The largest of those on their
    /// way there is too large.
    fn too_large_for(&self) -> Option<&str> {
        None
    }
}
