//! All checks, from causes to effects.

use super::check::Check;
use super::{delegation, machine, names, vantage};

/// The checks in the order of a report.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    [machine::CHECKS, delegation::CHECKS, names::CHECKS, vantage::CHECKS].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn is_kebab_case(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }

    #[test]
    fn checks_come_after_those_that_explain_their_faults() {
        let mut before = HashSet::new();
        for check in checks() {
            for cause in check.after {
                assert!(before.contains(cause), "{} comes before {cause}", check.id);
            }
            assert!(is_kebab_case(check.id) && before.insert(check.id), "{}", check.id);
        }
    }

    #[test]
    fn groups_stand_together_in_their_order() {
        let groups: Vec<_> = checks().map(|check| check.group).collect();
        assert!(groups.is_sorted(), "{groups:?}");
    }

    #[test]
    fn faults_have_codes_of_their_own_and_say_what_to_do() {
        let mut codes = HashSet::new();
        for check in checks() {
            assert!(!check.title.is_empty() && check.looks_at.ends_with('.'), "{}", check.id);
            for fault in check.faults {
                assert!(is_kebab_case(fault.code) && codes.insert(fault.code), "{} of {}", fault.code, check.id);
                assert!(!fault.meaning.is_empty() && !fault.mend.is_empty(), "{}", fault.code);
                assert!(!fault.meaning.ends_with('.') && !fault.mend.ends_with('.'), "{}", fault.code);
                assert!(fault.assessment != crate::delegation::finding::Assessment::Good, "{}", fault.code);
            }
        }
    }
}
