//! The revocation of a certificate, with a page that asks first.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{Html, Response};
use maud::html;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use crate::acme::revocation::RevocationReason;
use crate::api::types::certificates::{ManagedCertificateView, RevokeCertificate};
use crate::model::name::idn::both_ways;

use super::super::error::PageError;
use super::super::form::Submitted;
use super::super::page::{Page, Section, csrf, time};
use super::super::sign_in::redirect;
use super::super::signed_in::SignedIn;
use super::super::state::Shared;
use super::common::{may_change, path};

/// The reasons that subscribers may give (RFC 5280 section 5.3.1), and when to give each.
const REASONS: [(&str, &str); 5] = [
    ("unspecified", "No reason"),
    ("key-compromise", "Key compromise: somebody else has the key"),
    ("superseded", "Superseded: another certificate has replaced this one"),
    ("affiliation-changed", "Affiliation changed: the names belong to others now"),
    ("cessation-of-operation", "Cessation of operation: the site has closed"),
];

/// Asks whether, and why.
pub async fn show(
    State(console): State<Shared>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Result<Html<String>, PageError> {
    if !may_change(&signed_in) {
        return Err(PageError::Scope("all"));
    }
    let view: ManagedCertificateView = console.admin.get(&signed_in, &path(&name)).await?;
    let title = format!("Revoke {}", both_ways(&view.name));
    let content = html! {
        p.lead { "Whoever checks revocations refuses a revoked certificate at once. That cannot be undone, and the certificate "
            "is not renewed any more until somebody renews it by hand." }
        @if let Some(shown) = &view.report.shown {
            p { "The certificate has the serial number " code { (shown.serial) } " and ends " (time(&shown.not_after.to_string())) "." }
        }
        form.stack method="post" action={ (path(&name)) "/revoke" } {
            (csrf(&signed_in))
            label { "Reason" select name="reason" {
                @for (reason, meaning) in REASONS { option value=(reason) { (meaning) } }
            } }
            div.actions {
                button.danger { "Revoke the certificate" }
                a.button.quiet href=(path(&name)) { "Keep it" }
            }
        }
    };
    Ok(Page { title: &title, section: Section::Certificates, signed_in: &signed_in, live: None, content }.render())
}

/// Revokes the certificate.
pub async fn revoke(
    State(console): State<Shared>,
    Path(name): Path<String>,
    Submitted(signed_in, fields): Submitted,
) -> Result<Response, PageError> {
    let reason = RevocationReason::deserialize(fields.text("reason").into_deserializer())
        .map_err(|error: Error| PageError::field("reason", error))?;
    let path = path(&name);
    let body = RevokeCertificate { reason: Some(reason) };
    let revocation = format!("{path}/revoke");
    let _: ManagedCertificateView = console.admin.send(&signed_in, Method::POST, &revocation, &body).await?;
    Ok(redirect(&path, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_the_form_is_one() {
        for (reason, _) in REASONS {
            RevocationReason::deserialize(IntoDeserializer::<Error>::into_deserializer(reason)).unwrap();
        }
    }
}
