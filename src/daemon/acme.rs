//! From the ACME client to what the operator reads.

use serde_json::{Value, json};

use crate::acme::own::Own;
use crate::acme::{AcmeError, Authority};
use crate::api::admin::{Acme, Ask};

/// What the operator's router asks the ACME client with.
pub fn hook(authority: Authority, own: Option<Own>) -> Acme {
    Acme::new(move |ask| {
        let (authority, own) = (authority.clone(), own.clone());
        Box::pin(async move { answer(&authority, own, ask).await.map_err(|error| error.explained()) })
    })
}

async fn answer(authority: &Authority, own: Option<Own>, ask: Ask) -> Result<Value, AcmeError> {
    match ask {
        Ask::Account => return authority.show().await,
        Ask::Rollover => authority.rollover().await?,
        Ask::Deactivate => authority.deactivate().await?,
        Ask::Contact(contact) => authority.update_contact(&contact).await?,
        Ask::Certificates => return Ok(json!({ "api": own.map(|own| own.report()) })),
    }
    Ok(Value::Null)
}
