//! Where the operator's API has certificates.

use crate::cli::operator::encoded;

/// The path of a certificate, and what follows it.
pub fn path(name: &str, rest: &str) -> String {
    format!("/certificates/{}{rest}", encoded(name))
}
