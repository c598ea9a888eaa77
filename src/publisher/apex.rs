//! Challenge zones: the apex that an account is given, and the labels of ACME accounts below it.

use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, StoreError};
use crate::zone::zone_named;

use super::limits::MAX_ACME_ACCOUNTS;
use super::{Abort, AccessError, Inner, OwnerError, ValueError};

impl Inner {
    /// The apex of a challenge zone, if it is nobody's.
    pub(super) fn free_apex(&self, tx: &Tx<'_>, zone: &ZoneName) -> Result<Owner, Abort<OwnerError>> {
        if zone_named(&self.zones.load(), zone).is_none() {
            return Err(AccessError::NoZone(zone.clone()).into());
        }
        let apex = Owner::apex(zone.clone());
        match tx.owner(&apex)? {
            Some(_) => Err(OwnerError::ApexTaken(zone.clone()).into()),
            None => Ok(apex),
        }
    }

    /// Makes the row of an ACME account's label. It belongs to the account that owns the apex above it.
    pub(super) fn row_below(&self, tx: &Tx<'_>, owner: &Owner, apex: &Owner) -> Result<OwnerRow, Abort<ValueError>> {
        let account = tx.owner(apex)?.and_then(|row| row.account);
        let Some((username, _)) = account else { return Err(AccessError::NotOwner.into()) };
        if tx.count_below_apex(&owner.zone)? >= MAX_ACME_ACCOUNTS {
            return Err(ValueError::TooManyLabels(owner.zone.clone()).into());
        }
        Ok(OwnerRow { id: tx.add_owner(owner, username)?, account })
    }

    /// Removes an owner that exists only while it holds values, if it holds none; whether it did so.
    pub(super) fn remove_if_empty(&self, tx: &Tx<'_>, row: &OwnerRow, owner: &Owner) -> Result<bool, StoreError> {
        let is_passing = matches!(owner.label, OwnerLabel::AcmeAccount(_) | OwnerLabel::Persist);
        let is_empty = is_passing && tx.values(row.id)?.is_empty();
        if is_empty {
            tx.remove_owner(owner)?;
        }
        Ok(is_empty)
    }
}
