//! Internationalized names (RFC 5890). People may write U-labels; everything that is stored or sent has A-labels.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::error::NameError;

/// The most bytes of a name with U-labels: the 255 bytes of a name hold fewer characters, of at most 4 bytes each.
const MAX_TEXT: usize = 1_024;
/// What begins every A-label (RFC 5890 section 2.3.2.1).
const PREFIX: &str = "xn--";

/// The name with A-labels in place of U-labels. A name in ASCII stays as it is.
pub fn to_ascii(text: &str) -> Result<Cow<'_, str>, NameError> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    if text.len() > MAX_TEXT {
        return Err(NameError::Long);
    }
    // Underscores are allowed, as in `_acme-challenge`; the caller checks the ASCII characters.
    let converted = Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
    converted.map_err(|_| NameError::International(text.chars().take(80).collect()))
}

/// A name with U-labels, if it has A-labels that are valid.
pub fn to_unicode(name: &str) -> Option<String> {
    if !name.split('.').any(|label| label.starts_with(PREFIX)) {
        return None;
    }
    let (text, outcome) = Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    (outcome.is_ok() && !text.is_ascii()).then(|| text.into_owned())
}

/// A name both ways, for people: `xn--bcher-kva.example (bücher.example)`. A name without A-labels stays as it is.
pub fn both_ways(name: &str) -> Cow<'_, str> {
    match to_unicode(name) {
        Some(text) => Cow::Owned(format!("{name} ({text})")),
        None => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identifier::Identifier;
    use crate::model::name::owner::OwnerText;
    use crate::model::name::{Alias, Name, Subdomain, ZoneName};

    #[test]
    fn a_name_with_u_labels_is_the_name_with_a_labels() {
        for (typed, expected) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.Example.", "xn--bcher-kva.example"),
            ("_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example"),
            // The ideographic full stop separates labels as well.
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("straße.example", "xn--strae-oqa.example"),
            ("www.例え.example", "www.xn--r8jz45g.example"),
        ] {
            assert_eq!(typed.parse::<Name>().unwrap().to_string(), expected, "{typed}");
        }
        assert_eq!("*.bücher.example".parse::<Identifier>().unwrap().to_string(), "*.xn--bcher-kva.example");
        assert_eq!("bücher.example".parse::<ZoneName>().unwrap().to_string(), "xn--bcher-kva.example");
        assert_eq!("_acme-challenge.bücher.example".parse::<Alias>().unwrap().to_string().matches("xn--").count(), 1);
        assert_eq!("Bücher".parse::<Subdomain>().unwrap().as_str(), "xn--bcher-kva");
        assert_eq!("bücher".parse::<OwnerText>(), "xn--bcher-kva".parse());
        assert_eq!("a。bücher.example".parse::<OwnerText>(), "a.xn--bcher-kva.example".parse());
    }

    #[test]
    fn a_text_that_no_idn_allows_is_an_error_that_names_it() {
        for bad in
            ["a\u{378}.example", "\u{200d}.example", "a b\u{e9}.example", "é..example", "\u{2603}\u{fe0f}\u{1f}.x"]
        {
            let error = bad.parse::<Name>().expect_err(bad).to_string();
            assert!(!error.is_empty() && !error.contains("Errors"), "{bad}: {error}");
        }
        assert_eq!("ü".repeat(600).parse::<Name>(), Err(NameError::Long));
        assert!("bü.cher".parse::<Subdomain>().is_err());
    }

    #[test]
    fn names_are_shown_both_ways() {
        assert_eq!(both_ways("xn--bcher-kva.example"), "xn--bcher-kva.example (bücher.example)");
        for plain in ["example.com", "xn--.example", "xn--a.example", "a-xn--b.example", ""] {
            assert_eq!(both_ways(plain), plain);
        }
    }
}
