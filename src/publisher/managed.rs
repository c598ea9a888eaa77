//! Owners that belong to the daemon, at which it proves the names of the certificates that it manages.

use tracing::info;

use crate::model::actor::Actor;
use crate::model::name::{Name, Owner, OwnerLabel};
use crate::store::writer::Tx;
use crate::store::{OwnerRow, Rows, StoreError};
use crate::zone::change::Action;
use crate::zone::owner_state::OwnerState;
use crate::zone::{Zone, is_static, zone_named};

use super::{Abort, Choice, Inner, OwnerError, OwnerRequest, Publisher};

impl Publisher {
    /// All owners that belong to no account. Blocks.
    pub fn daemons_owners(&self) -> Result<Vec<Owner>, StoreError> {
        self.0.store.read(|rows| rows.daemons_owners())
    }

    /// Whether an owner belongs to the daemon, or will when it is first used. Blocks for microseconds.
    pub fn is_daemons(&self, owner: &Owner) -> Result<bool, StoreError> {
        if owner.is_daemons() {
            return Ok(true);
        }
        let row = self.0.store.read(|rows| rows.owner(owner))?;
        Ok(row.is_some_and(|row: OwnerRow| row.account.is_none()))
    }

    /// The owner at which a name of a managed certificate is proven. The first call creates it. Later calls return the
    /// same one, since a CNAME leads to it; another one only if its zone is no longer served.
    pub async fn managed_owner(&self, actor: Actor, name: Name) -> Result<Owner, Abort<OwnerError>> {
        let asked = name.clone();
        let stored = self.read(move |rows| rows.managed(&asked)).await?;
        if let Some(owner) = stored.filter(|owner| self.0.serves(owner)) {
            return Ok(owner);
        }
        let inner = self.0.clone();
        self.write(actor, move |tx| inner.create_managed(tx, &name)).await
    }

    /// Takes an owner back for a name of a managed certificate, where a database that is gone or newer had it. Whether
    /// that was needed, and nobody owns it.
    pub async fn take_back(&self, actor: Actor, name: Name, owner: Owner) -> Result<bool, StoreError> {
        let asked = (name.clone(), owner.clone());
        let known = move |rows: &Rows<'_>| Ok(rows.owner(&asked.1)?.is_some() && rows.managed(&asked.0)?.is_some());
        if self.read(known).await? {
            return Ok(false);
        }
        let inner = self.0.clone();
        self.write_freely(actor, move |tx| inner.take_back(tx, &name, &owner)).await
    }
}

impl Inner {
    fn create_managed(&self, tx: &Tx<'_>, name: &Name) -> Result<Owner, Abort<OwnerError>> {
        // Another certificate may need the same name at the same time.
        if let Some(owner) = tx.managed(name)?.filter(|owner| self.serves(owner)) {
            return Ok(owner);
        }
        let owner = self.free_owner(tx, &OwnerRequest::Subdomain(Choice::default()))?;
        let row = tx.insert_owner(&owner, None)?;
        tx.put_managed(name, row)?;
        tx.record_owner(Action::AddOwner, owner.clone(), Some(OwnerState::Empty))?;
        info!(%name, %owner, "a name of this server for a managed certificate");
        Ok(owner)
    }

    fn take_back(&self, tx: &Tx<'_>, name: &Name, owner: &Owner) -> Result<bool, StoreError> {
        let OwnerLabel::Subdomain(label) = &owner.label else { return Ok(false) };
        let zones = self.zones.load();
        let hides = |zone: &Zone| zone.name.is_challenge() || is_static(zone, label.as_str());
        if zone_named(&zones, &owner.zone).is_none_or(hides) {
            return Ok(false);
        }
        let row = match tx.owner(owner)? {
            Some(row) if row.account.is_some() => return Ok(false),
            Some(row) => row.id,
            None if tx.has_tombstone(owner)? => return Ok(false),
            None => {
                let row = tx.insert_owner(owner, None)?;
                tx.record_owner(Action::AddOwner, owner.clone(), Some(OwnerState::Empty))?;
                row
            }
        };
        if tx.managed(name)?.is_none_or(|present| !self.serves(&present)) {
            tx.put_managed(name, row)?;
        }
        Ok(true)
    }

    fn serves(&self, owner: &Owner) -> bool {
        zone_named(&self.zones.load(), &owner.zone).is_some()
    }
}
