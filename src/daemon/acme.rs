//! From the ACME client to what the operator reads.

use serde::Serialize;
use serde_json::{Value, json};

use crate::acme::revocation::Reason;
use crate::acme::{AcmeError, Authority};
use crate::api::admin::{Acme, Ask, Refusal};
use crate::certificates::api_certificate::Own;
use crate::certificates::managed::Managed;
use crate::config::certificate::CertificateName;

/// What the operator's router asks the ACME client with.
pub fn hook(authority: Authority, own: Option<Own>, managed: Managed) -> Acme {
    Acme::new(move |ask| {
        let (authority, own, managed) = (authority.clone(), own.clone(), managed.clone());
        Box::pin(async move { answer(&authority, own, &managed, ask).await.map_err(|error| refusal(&error)) })
    })
}

async fn answer(authority: &Authority, own: Option<Own>, managed: &Managed, ask: Ask) -> Result<Value, AcmeError> {
    match ask {
        Ask::Account => return authority.show().await,
        Ask::Rollover => authority.rollover().await?,
        Ask::Deactivate => authority.deactivate().await?,
        Ask::Contact(contact) => authority.update_contact(&contact).await?,
        Ask::Certificates => return Ok(json!({ "api": own.map(|own| own.report()) })),
        Ask::List => return Ok(json!({ "certificates": managed.list() })),
        Ask::Show(name) => return Ok(value(&managed.show(&called(&name)?)?)),
        Ask::Issue(wanted) => {
            let wanted = serde_json::from_value(wanted).map_err(|error| AcmeError::Wanted(error.to_string()))?;
            return managed.request(wanted).await.map(|listed| value(&listed));
        }
        Ask::Renew(name) => return managed.renew(&called(&name)?).await.map(|listed| value(&listed)),
        Ask::Revoke(name, why) => {
            return managed.revoke(&called(&name)?, reason(why)?).await.map(|listed| value(&listed));
        }
        Ask::Delete(name) => return managed.delete(&called(&name)?).await.map(|deleted| value(&deleted)),
    }
    Ok(Value::Null)
}

fn called(name: &str) -> Result<CertificateName, AcmeError> {
    name.parse().map_err(|_| AcmeError::NoCertificate(name.to_owned()))
}

fn reason(text: Option<String>) -> Result<Reason, AcmeError> {
    let text = text.unwrap_or_else(|| "unspecified".into());
    serde_json::from_value(Value::String(text)).map_err(|error| AcmeError::Wanted(format!("reason: {error}")))
}

fn value(what: &impl Serialize) -> Value {
    // invariant: reports are texts, numbers and lists of them
    serde_json::to_value(what).unwrap_or_default()
}

fn refusal(error: &AcmeError) -> Refusal {
    let said = error.explained();
    match error {
        AcmeError::NoCertificate(_) => Refusal::Unknown(said),
        AcmeError::Configured(_) | AcmeError::Deleting(_) => Refusal::Conflict(said),
        AcmeError::Wanted(_) | AcmeError::Password(_) => Refusal::Wrong(said),
        _ => Refusal::Failed(said),
    }
}
