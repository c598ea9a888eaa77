//! A CA and the daemon's account there, as DNS records name them.

use crate::config::Method;
use crate::model::url::Url;

/// A CA and an account there, which is to get certificates.
#[derive(Debug, Clone)]
pub struct IssuerIdentity {
    /// The names by which CAA records identify the CA (RFC 8659). A CA need not tell any.
    pub caa_identities: Vec<String>,
    /// The names by which persistent authorizations identify the CA (draft-ietf-acme-dns-persist-02 section 3.2).
    pub issuer_domain_names: Vec<String>,
    /// The account's URL.
    pub account: Url,
    /// How persistent authorizations name the account if the CA wants it hashed.
    pub account_hash: Option<AccountHash>,
    /// How the account proves names.
    pub method: Method,
    /// The CAA record that lets this account alone get certificates, by this method alone; `None` if the CA tells no
    /// name for CAA records.
    pub caa_record: Option<String>,
}

/// What the hashed name of an account is made from, besides its URL.
#[derive(Debug, Clone)]
pub struct AccountHash {
    /// The prefix that the CA's directory sets.
    pub prefix: String,
    /// The thumbprint of the account's key (RFC 7638).
    pub thumbprint: String,
}
