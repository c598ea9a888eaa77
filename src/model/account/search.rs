//! What an account is found by: the texts that are searched, and what is searched for.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::name::idn;
use crate::model::text::serde_as_text;

/// The most bytes of a search term. No name has more, and no note more characters.
pub const MAX_TERM: usize = 800;
/// The characters of a UUID with its hyphens.
const UUID_LENGTH: usize = 36;

/// A text to find accounts by. Each character stands for itself: there are no wildcards and no operators. The case of letters
/// makes no difference, and a name with U-labels finds the same name with A-labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTerm {
    written: String,
    lowercase: String,
    ascii: Option<String>,
}

/// A text is no [`SearchTerm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SearchTermError {
    #[error("write what to search for: part of a domain, a label, a note or an alias, or the beginning of a username")]
    Empty,
    #[error("no account has a text of more than {MAX_TERM} bytes; found {0}: search for a part of it")]
    Long(usize),
    #[error("no account has a text with control characters; leave them out of the search")]
    Control,
}

impl SearchTerm {
    /// The texts of which an account has at least one: the term in lowercase, and with A-labels where that differs.
    pub fn needles(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.lowercase.as_str()).chain(self.ascii.as_deref())
    }

    /// The beginning of the usernames and random labels that are found, as they are stored; `None` where the term can be none.
    pub fn uuid_prefix(&self) -> Option<String> {
        if let Ok(whole) = self.lowercase.parse::<super::Username>() {
            return Some(whole.to_string());
        }
        let is_beginning = self.lowercase.len() <= UUID_LENGTH
            && self.lowercase.bytes().all(|byte| b"0123456789abcdef-".contains(&byte));
        is_beginning.then(|| self.lowercase.clone())
    }
}

impl FromStr for SearchTerm {
    type Err = SearchTermError;

    fn from_str(text: &str) -> Result<Self, SearchTermError> {
        if text.len() > MAX_TERM {
            return Err(SearchTermError::Long(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(SearchTermError::Control);
        }
        let trimmed = text.trim();
        // The dot at the end of a name in a zone file is not stored.
        let bare = trimmed.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(trimmed);
        if bare.is_empty() {
            return Err(SearchTermError::Empty);
        }
        let lowercase = bare.to_lowercase();
        let ascii = idn::to_ascii(bare).ok().map(|ascii| ascii.to_lowercase()).filter(|ascii| *ascii != lowercase);
        Ok(Self { written: trimmed.to_owned(), lowercase, ascii })
    }
}

impl fmt::Display for SearchTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

serde_as_text!(SearchTerm);

/// Whether a label is found by its beginning alone, because it is random as usernames are.
pub fn is_random(label: &str) -> bool {
    label.len() == UUID_LENGTH && label.parse::<super::Username>().is_ok()
}

/// The texts of an account as they are searched, with line ends between them: in lowercase, and names both with A-labels and
/// with U-labels.
pub fn searchable<'t>(note: &str, names: impl Iterator<Item = &'t str>) -> String {
    let note = note.to_lowercase();
    let mut lines = vec![note.clone()];
    for word in note.split_whitespace() {
        push_other_form(word.trim_matches([',', ';', ':', '(', ')']), &mut lines);
    }
    for name in names.filter(|name| !is_random(name)) {
        lines.push(name.to_owned());
        push_other_form(name, &mut lines);
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// The name with A-labels for one with U-labels, and the other way round.
fn push_other_form(name: &str, lines: &mut Vec<String>) {
    if name.is_ascii() {
        lines.extend(idn::to_unicode(name));
    } else {
        lines.extend(idn::to_ascii(name).ok().map(|ascii| ascii.to_lowercase()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(text: &str) -> SearchTerm {
        text.parse().unwrap()
    }

    #[test]
    fn a_term_is_found_in_either_form_of_a_name() {
        let texts = searchable("Bücher.example, ring 3", ["shop", "_acme-challenge.xn--bcher-kva.example"].into_iter());
        for found in ["BÜCHER.example.", "xn--BCHER-kva", "ring 3", "büch", "shop", "challenge.bücher"] {
            assert!(term(found).needles().any(|needle| texts.contains(needle)), "{found}: {texts}");
        }
        // The same letter as two characters.
        assert!(term("bu\u{308}cher.example").needles().any(|needle| texts.contains(needle)));
        assert!(!term("buecher").needles().any(|needle| texts.contains(needle)));
    }

    #[test]
    fn usernames_and_random_labels_are_found_by_their_beginning() {
        let whole = "c36f50e8-4632-44f0-83fe-e070fef28a10";
        assert_eq!(term("C36F50E8463244F083FEE070FEF28A10").uuid_prefix().as_deref(), Some(whole));
        assert_eq!(term("c36f50e8-4").uuid_prefix().as_deref(), Some("c36f50e8-4"));
        for other in ["shop", "c36f50e8-4632-44f0-83fe-e070fef28a10-", "c%"] {
            assert_eq!(term(other).uuid_prefix(), None, "{other}");
        }
        assert_eq!(searchable("", [whole, "a"].into_iter()), "a");
    }

    #[test]
    fn what_no_account_can_have_is_refused_with_a_reason() {
        assert_eq!("a\0b".parse::<SearchTerm>(), Err(SearchTermError::Control));
        assert_eq!(" ".parse::<SearchTerm>(), Err(SearchTermError::Empty));
        assert_eq!("x".repeat(801).parse::<SearchTerm>(), Err(SearchTermError::Long(801)));
        for data in ["\"", "%", "_", "*", "'", "a OR b", ".", "ü"] {
            assert_eq!(term(data).to_string(), data);
        }
    }
}
