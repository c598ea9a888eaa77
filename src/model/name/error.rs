//! Why a text is not a name.

use thiserror::Error;

/// A text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    #[error("a name must not be empty")]
    Empty,
    #[error("a label must not be empty: two dots in a row, or one at the start")]
    EmptyLabel,
    #[error("the label `{0}` has over 63 characters")]
    LongLabel(String),
    #[error("the name has over 255 bytes")]
    Long,
    #[error("the character {0:?} is not allowed here; write letters, digits, `-`, `_` and dots")]
    Character(char),
    #[error("write an internationalized name (IDNA) as its registry does, or in ASCII (`xn--...`); found {0:?}")]
    International(String),
}
