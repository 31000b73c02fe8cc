//! How a group of services can end badly.

/// Any error of a task.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a group of services did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A task failed, which stopped the others.
    #[error("{task} failed")]
    Failed {
        /// Its name.
        task: &'static str,
        /// Why.
        source: BoxError,
    },
    /// A task panicked, which stopped the others. That is a defect of ours.
    #[error("{task} panicked: {message}")]
    Panicked {
        /// Its name.
        task: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Tasks were still running after the time they had to stop, and were aborted.
    #[error("still running {seconds} s after being asked to stop: {}", .running.join(", "))]
    Deadline {
        /// How long they had.
        seconds: f64,
        /// Their names.
        running: Vec<&'static str>,
    },
}
