//! Connects the admin API to the certificates and to the account with the CA.

use serde::Serialize;
use serde_json::{Value, json};

use crate::acme::revocation::RevocationReason;
use crate::api::admin::{Acme, Ask, Refusal};
use crate::certificates::{CertificateError, Certificates};
use crate::config::certificate::CertificateName;

/// What the admin API asks about certificates.
pub fn hook(certificates: Certificates) -> Acme {
    Acme::new(move |ask| {
        let certificates = certificates.clone();
        Box::pin(async move { answer(&certificates, ask).await.map_err(|error| refusal(&error)) })
    })
}

async fn answer(certificates: &Certificates, ask: Ask) -> Result<Value, CertificateError> {
    let authority = certificates.authority();
    let managed = certificates.managed();
    match ask {
        Ask::Account => return Ok(value(&authority.report().await?)),
        Ask::Rollover => authority.rollover().await?,
        Ask::Deactivate => authority.deactivate().await?,
        Ask::Contact(contact) => authority.update_contact(&contact).await?,
        Ask::Certificates => return Ok(json!({ "api": certificates.api().map(|api| api.report()) })),
        Ask::List => return Ok(json!({ "certificates": managed.list() })),
        Ask::Show(name) => return Ok(value(&managed.show(&parse_name(&name)?)?)),
        Ask::Issue(request) => {
            let request =
                serde_json::from_value(request).map_err(|error| CertificateError::Invalid(error.to_string()))?;
            return Ok(value(&managed.request(request).await?));
        }
        Ask::Renew(name) => return Ok(value(&managed.renew(&parse_name(&name)?).await?)),
        Ask::Revoke(name, reason) => {
            return Ok(value(&managed.revoke(&parse_name(&name)?, parse_reason(reason)?).await?));
        }
        Ask::Delete(name) => return Ok(value(&managed.delete(&parse_name(&name)?).await?)),
    }
    Ok(Value::Null)
}

fn parse_name(name: &str) -> Result<CertificateName, CertificateError> {
    name.parse().map_err(|_| CertificateError::NotFound(name.to_owned()))
}

fn parse_reason(text: Option<String>) -> Result<RevocationReason, CertificateError> {
    let text = text.unwrap_or_else(|| "unspecified".into());
    serde_json::from_value(Value::String(text)).map_err(|error| CertificateError::Invalid(format!("reason: {error}")))
}

fn value(report: &impl Serialize) -> Value {
    // invariant: reports consist of texts, numbers and lists
    serde_json::to_value(report).unwrap_or_default()
}

fn refusal(error: &CertificateError) -> Refusal {
    let explained = error.explained();
    match error {
        CertificateError::NotFound(_) => Refusal::Unknown(explained),
        CertificateError::Configured(_) | CertificateError::Deleting(_) => Refusal::Conflict(explained),
        CertificateError::Invalid(_) | CertificateError::Password(_) => Refusal::Wrong(explained),
        _ => Refusal::Failed(explained),
    }
}
