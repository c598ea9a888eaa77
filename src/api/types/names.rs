//! `/accounts/{who}/subdomains` and `/accounts/{who}/aliases`

use serde::{Deserialize, Serialize};

use crate::model::name::owner::OwnerText;
use crate::model::name::{Alias, Subdomain, ZoneName};

use super::optional::none_if_empty;

/// `POST /accounts/{who}/subdomains`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AddSubdomain {
    /// A label of choice, in place of a random one.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub subdomain: Option<Subdomain>,
    /// The zone, in place of the first one. A challenge zone becomes the account's as a whole.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub zone: Option<ZoneName>,
}

/// A new subdomain, in the words of a registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddedSubdomain {
    /// The whole name.
    pub fulldomain: String,
    /// The name within its zone.
    pub subdomain: String,
    /// The zone.
    pub zone: ZoneName,
}

/// `DELETE /accounts/{who}/subdomains`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveSubdomain {
    /// The label, or the whole name.
    pub subdomain: OwnerText,
    /// The zone, if the account has the label in several.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub zone: Option<ZoneName>,
}

/// `POST /accounts/{who}/aliases`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddAlias {
    /// The name in another zone.
    pub alias: Alias,
    /// The name that it stands for; an account with one name may leave it out.
    pub subdomain: Option<OwnerText>,
    /// The zone of that name, if the account has the label in several.
    #[serde(default, deserialize_with = "none_if_empty")]
    pub zone: Option<ZoneName>,
}

/// `DELETE /accounts/{who}/aliases`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveAlias {
    /// The name in another zone.
    pub alias: Alias,
}

/// How many items were removed: 0 if there was none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemovedCount {
    /// 0 or 1.
    pub removed: usize,
}
