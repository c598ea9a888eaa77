//! Credentials that clients store here, sealed with the registration secret or enrolment token that they hold.

use crate::model::actor::Actor;
use crate::model::name::Name;
use crate::model::secret::SecretHash;
use crate::store::StoreError;

use super::limits::MAX_STORED;
use super::{Abort, ClientStorageError, Publisher};

impl Publisher {
    /// Stores a holder's sealed credentials for a domain, in place of those that are there.
    pub async fn put_stored(
        &self,
        actor: Actor,
        holder: SecretHash,
        domain: Name,
        sealed: Vec<u8>,
    ) -> Result<(), Abort<ClientStorageError>> {
        self.write(actor, move |tx| {
            if tx.stored(&holder, &domain)?.is_none() && tx.count_stored(&holder)? >= MAX_STORED {
                return Err(ClientStorageError::TooMany.into());
            }
            Ok(tx.put_stored(&holder, &domain, &sealed)?)
        })
        .await
    }

    /// Deletes a holder's credentials for a domain; whether there were any.
    pub async fn delete_stored(&self, actor: Actor, holder: SecretHash, domain: Name) -> Result<bool, StoreError> {
        self.write_freely(actor, move |tx| tx.delete_stored(&holder, &domain)).await
    }

    /// A holder's credentials for a domain. Blocks for microseconds.
    pub fn stored(&self, holder: &SecretHash, domain: &Name) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.store.read(|rows| rows.stored(holder, domain))
    }

    /// All credentials of a holder, by domain. Blocks for microseconds.
    pub fn all_stored(&self, holder: &SecretHash) -> Result<Vec<(Name, Vec<u8>)>, StoreError> {
        self.0.store.read(|rows| rows.all_stored(holder))
    }
}
