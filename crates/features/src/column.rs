//! Columns: the numbers that an event turns into.

/// One number of every event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name: a feature's, or a field that `features.vrl` assigns.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
    /// Whether `features.vrl` derives it.
    pub derived: bool,
}
