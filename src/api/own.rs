//! Finds the owner of an account that a request names.

use std::collections::BTreeSet;

use crate::model::account::Account;
use crate::model::name::owner::OwnerText;
use crate::model::name::{Owner, ZoneName};

use super::error::Failure;
use super::fields::Fields;

/// The account's owner that the body names by `subdomain`: a label, with `zone` if the account has the label in several
/// zones, or a whole name. Only the account is searched, so that the reply reveals nothing about other accounts.
pub fn own(account: &Account, fields: &Fields) -> Result<Owner, Failure> {
    let wanted = fields.owner()?;
    own_named(account, &wanted, fields.zone()?.as_ref())
}

/// The account's owner that `wanted` means, in `zone` if one is given.
pub fn own_named(account: &Account, wanted: &OwnerText, zone: Option<&ZoneName>) -> Result<Owner, Failure> {
    let zones: BTreeSet<&ZoneName> = account.owners.iter().map(|owner| &owner.zone).collect();
    let named = zones.into_iter().filter(|found| zone.is_none_or(|zone| zone == *found));
    let mut found: Vec<Owner> =
        named.filter_map(|zone| wanted.in_zone(zone)).filter(|owner| account.owns(owner)).collect();
    match (found.pop(), &found[..]) {
        (Some(owner), []) => Ok(owner),
        (None, _) => Err(Failure::NotOwn(wanted.clone())),
        (Some(last), others) => Err(ambiguous(others.iter().chain([&last]))),
    }
}

/// The failure for a label that several owners have.
pub fn ambiguous<'o>(owners: impl Iterator<Item = &'o Owner>) -> Failure {
    let names: Vec<String> = owners.map(ToString::to_string).collect();
    let message = format!("several zones have that label; write the whole name: {}", names.join(" or "));
    Failure::field("bad_subdomain", "subdomain", message)
}
