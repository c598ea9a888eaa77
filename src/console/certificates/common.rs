//! What the pages of certificates have in common.

use crate::certificates::renewal::RenewalBasis;
use crate::model::admin_token::AdminScope;

use super::super::page::encoded;
use super::super::signed_in::SignedIn;

/// The path of a certificate in the admin API, and in the console.
pub fn path(name: &str) -> String {
    format!("/certificates/{}", encoded(name))
}

/// What has set the time of a renewal, in words.
pub fn why(basis: Option<RenewalBasis>) -> &'static str {
    match basis {
        Some(RenewalBasis::Suggested) => "as the CA suggests (ARI)",
        Some(RenewalBasis::Postponed) => "put off: it was due when it was issued",
        Some(RenewalBasis::Lifetime) => "after two thirds of its lifetime",
        None => "by its lifetime or the CA's suggestion",
    }
}

/// Whether the visitor may renew and revoke.
pub fn may_change(signed_in: &SignedIn) -> bool {
    signed_in.session.visitor.may(AdminScope::All)
}
