//! Challenge zones: the apex that an account is given, and the labels of ACME accounts below it; and owners that pass.

use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, StoreError};
use crate::zone::zone_named;

use super::{Decided, Inner, PublishError};

/// ACME accounts that hold values below one apex at a time: each is a name that whoever owns the apex makes as he likes.
pub const MAX_ACME_ACCOUNTS: usize = 16;

impl Inner {
    /// The apex of a challenge zone, if it is nobody's.
    pub(super) fn free_apex(&self, tx: &Tx<'_>, zone: &ZoneName) -> Decided<Owner> {
        if zone_named(&self.zones.load(), zone).is_none() {
            return Ok(Err(PublishError::NoZone(zone.clone())));
        }
        let apex = Owner::apex(zone.clone());
        let is_taken = tx.owner(&apex)?.is_some();
        Ok(if is_taken { Err(PublishError::ApexTaken(zone.clone())) } else { Ok(apex) })
    }

    /// Makes the row of an ACME account's label, of the account that owns the apex above it.
    pub(super) fn row_below(&self, tx: &Tx<'_>, owner: &Owner, apex: &Owner) -> Decided<OwnerRow> {
        let account = tx.owner(apex)?.and_then(|row| row.account);
        let Some((username, _)) = account else { return Ok(Err(PublishError::NotOwner)) };
        if tx.count_below_apex(&owner.zone)? >= MAX_ACME_ACCOUNTS {
            return Ok(Err(PublishError::TooManyLabels(owner.zone.clone())));
        }
        Ok(Ok(OwnerRow { id: tx.add_owner(owner, username)?, account }))
    }

    /// Takes an owner that is there only while it holds something away if it holds nothing any more; whether it was one.
    pub(super) fn is_left(&self, tx: &Tx<'_>, row: &OwnerRow, owner: &Owner) -> std::result::Result<bool, StoreError> {
        let is_passing = matches!(owner.label, OwnerLabel::AcmeAccount(_) | OwnerLabel::Persist);
        let is_left = is_passing && tx.values(row.id)?.is_empty();
        if is_left {
            tx.remove_owner(owner)?;
        }
        Ok(is_left)
    }
}
