//! Labels of the daemon's own, at which it proves the names of the certificates that it manages.

use tracing::info;

use crate::model::name::{Name, Owner};
use crate::store::writer::Tx;
use crate::zone::live::OwnerState;
use crate::zone::zone_named;

use super::names::{Choice, Place};
use super::{Publisher, Result, Shown};

impl Publisher {
    /// All owners that belong to no account.
    pub fn daemons_owners(&self) -> Result<Vec<Owner>> {
        Ok(self.0.store.read(|rows| rows.daemons_owners())?)
    }

    /// Whether an owner is the daemon's: made for it, or to be made when it is first used.
    pub fn is_daemons(&self, owner: &Owner) -> Result<bool> {
        let is_made = |row: crate::store::OwnerRow| row.account.is_none();
        Ok(owner.is_daemons() || self.0.store.read(|rows| rows.owner(owner))?.is_some_and(is_made))
    }

    /// The owner at which a name of a managed certificate is proven: made at the first time, and the same ever after,
    /// since somebody's CNAME leads to it. Another one only where its zone is no longer served.
    pub async fn managed_owner(&self, name: Name) -> Result<Owner> {
        let served = |owner: &Owner| zone_named(&self.0.zones.load(), &owner.zone).is_some();
        if let Some(owner) = self.0.store.read(|rows| rows.managed(&name))?.filter(served) {
            return Ok(owner);
        }
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            // Another certificate may need the same name at the same time.
            let known = tx.managed(&name)?.filter(|owner| zone_named(&inner.zones.load(), &owner.zone).is_some());
            if let Some(owner) = known {
                return Ok(Ok((owner, Vec::new())));
            }
            let owner = match inner.free_owner(tx, &Place::Subdomain(Choice::default()))? {
                Ok(owner) => owner,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let row = tx.insert_owner(&owner, None)?;
            tx.put_managed(&name, row)?;
            tx.touch(&owner.zone);
            info!(%name, %owner, "a label for a managed certificate");
            Ok(Ok((owner.clone(), vec![Shown::Owner(owner, Some(OwnerState::Empty))])))
        };
        self.change(change, |(_, shown)| shown.clone()).await.map(|(owner, _)| owner)
    }
}
