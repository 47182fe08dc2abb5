//! Why a setting is refused.

/// A setting that cannot be: where, and what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Invalid {
    /// `section.key`, so that a form can mark the field; in a scale or a row, the path in its TOML.
    pub place: String,
    /// One sentence with what is allowed.
    pub message: String,
}

impl Invalid {
    /// A fault at a field.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Invalid {
            place: place.into(),
            message: message.into(),
        }
    }

    /// The same, naming what the setting belongs to.
    pub(super) fn of(self, owner: &str) -> Self {
        Invalid {
            message: format!("{} ({owner})", self.message),
            ..self
        }
    }
}
