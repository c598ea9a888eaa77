//! The labels under which a zone's live names are kept.

use std::borrow::Cow;

use uuid::Uuid;

/// The label of a live name, as small as it can be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiveLabel {
    /// A UUID in its 36-character form.
    Uuid([u8; 16]),
    /// Any other; empty for the apex.
    Text(Box<[u8]>),
}

impl LiveLabel {
    /// The label with these bytes, in lower case.
    pub fn of(label: &[u8]) -> Self {
        uuid_of(label).map_or_else(|| Self::Text(label.into()), Self::Uuid)
    }

    /// Whether it stands for the apex.
    pub fn is_apex(&self) -> bool {
        matches!(self, Self::Text(label) if label.is_empty())
    }

    /// Its bytes.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Uuid(uuid) => Cow::Owned(Uuid::from_bytes(*uuid).to_string().into_bytes()),
            Self::Text(label) => Cow::Borrowed(label),
        }
    }
}

/// The UUID that a label spells in its 36-character form, the only form that maps to one label.
pub(super) fn uuid_of(label: &[u8]) -> Option<[u8; 16]> {
    (label.len() == 36).then(|| Uuid::try_parse_ascii(label).ok()).flatten().map(Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_as_it_is_written() {
        for label in ["", "shop", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950x"] {
            assert_eq!(&*LiveLabel::of(label.as_bytes()).bytes(), label.as_bytes());
        }
        assert!(matches!(LiveLabel::of(b"0f8fad5b-d9cb-469f-a165-70867728950e"), LiveLabel::Uuid(_)));
    }
}
