//! The order under way and its key, on disk until the certificate is stored. An attempt after a crash resumes the order.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::info;

use crate::acme::account::AcmeAccount;
use crate::acme::authorization::ObjectStatus;
use crate::acme::certificate::CertificateKey;
use crate::acme::order::{NewOrder, Order};
use crate::config::{self, KeyType};
use crate::file::state::{blocking, read_private, remove_file, write_toml};
use crate::model::identifier::Identifier;
use crate::model::url::Url;

use super::error::{CertificateError, Result};
use super::issue_request::IssueRequest;

/// The file of an order under way.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PendingOrder {
    account: Url,
    order: Url,
    key_type: KeyType,
    profile: Option<String>,
    key: String,
}

impl PendingOrder {
    /// Whether the order belongs to this account and has these settings.
    fn fits(&self, account: &AcmeAccount, settings: &config::Acme) -> bool {
        self.account == *account.url() && self.key_type == settings.key_type && self.profile == settings.profile
    }
}

/// Resumes the order in the file `path`. `None` if there is none, or if it cannot lead to a certificate for these names.
pub async fn resume<'a>(
    account: &'a AcmeAccount,
    settings: &config::Acme,
    path: &Path,
    names: &[Identifier],
) -> Result<Option<(Order<'a>, CertificateKey)>> {
    let path = path.to_owned();
    let Some(text) = blocking(move || read_private(&path)).await? else { return Ok(None) };
    // A damaged file counts as none: another order replaces it.
    let Ok(pending) = toml::from_str::<PendingOrder>(&text) else { return Ok(None) };
    let Ok(key) = CertificateKey::from_pem(&pending.key) else { return Ok(None) };
    if !pending.fits(account, settings) {
        return Ok(None);
    }
    match Order::resume(account, pending.order).await {
        Ok(order) if order.is_for(names) && order.status() != ObjectStatus::Invalid => {
            info!(order = %order.url(), "resuming an order");
            Ok(Some((order, key)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.is_final() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Places an order and writes it to the file of the request. The key is on disk before the CA can certify it.
pub async fn place<'a>(
    account: &'a AcmeAccount,
    names: &[Identifier],
    request: &IssueRequest<'_>,
) -> Result<(Order<'a>, CertificateKey)> {
    let settings = request.settings;
    let key_type = settings.key_type;
    let key = blocking(move || Ok::<_, CertificateError>(CertificateKey::generate(key_type)?)).await?;
    let new = NewOrder {
        names: names.to_vec(),
        profile: settings.profile.clone(),
        may_lack_profile: request.is_renewal,
        replaces: request.replaces.clone(),
    };
    let order = Order::place(account, &new).await?;
    let pending = PendingOrder {
        account: account.url().clone(),
        order: order.url().clone(),
        key_type,
        profile: new.profile,
        key: key.reveal_pem(),
    };
    let path = request.pending.to_owned();
    blocking(move || write_toml(&path, &pending)).await?;
    Ok((order, key))
}

/// Deletes the file: the certificate is stored, or the order has failed.
pub async fn forget(path: &Path) -> Result<()> {
    let path = path.to_owned();
    Ok(blocking(move || remove_file(&path)).await?)
}
