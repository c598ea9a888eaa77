//! `POST /update`: publishes a TXT value. 200 means that it is on disk and served.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::account::Account;
use crate::name::{Owner, OwnerLabel};
use crate::publisher::{Author, Publisher};

use super::auth::Authenticated;
use super::error::Failure;
use super::fields::Fields;
use super::reply;

pub async fn update(
    State(publisher): State<Publisher>,
    Authenticated(account): Authenticated,
    fields: Fields,
) -> Result<Response, Failure> {
    let owner = own(&account, &fields)?;
    let txt = fields.txt()?;
    publisher.publish(Author::Account(account.username), owner, txt).await?;
    // acme.sh looks for the value in quotes, others for exactly acme-dns's text.
    Ok(reply::text(StatusCode::OK, format!("{{\"txt\": \"{txt}\"}}")))
}

/// The one of the account's owners that the body names, by `subdomain` and, where zones share it, `zone`.
pub fn own(account: &Account, fields: &Fields) -> Result<Owner, Failure> {
    let (subdomain, zone) = (fields.subdomain()?, fields.zone()?);
    let named = |owner: &&Owner| {
        let label = matches!(&owner.label, OwnerLabel::Subdomain(found) if *found == subdomain);
        label && zone.as_ref().is_none_or(|zone| *zone == owner.zone)
    };
    let found = account.owners.iter().find(named);
    found.cloned().ok_or(Failure::Forbidden("this account does not own that subdomain"))
}
