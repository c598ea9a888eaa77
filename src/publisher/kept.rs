//! What is kept, sealed, for the holders of registration secrets and enrolment tokens.

use crate::model::name::Name;
use crate::model::secret::SecretHash;
use crate::store::writer::Tx;

use super::{PublishError, Publisher, Result};

/// The most domains under which one holder keeps something.
pub const MAX_KEPT: i64 = 1_000;

impl Publisher {
    /// Keeps something of a holder under a domain, in place of what is there.
    pub async fn keep(&self, holder: SecretHash, domain: Name, sealed: Vec<u8>) -> Result<()> {
        let change = move |tx: &Tx<'_>| {
            if tx.kept(&holder, &domain)?.is_none() && tx.count_kept(&holder)? >= MAX_KEPT {
                return Ok(Err(PublishError::TooManyKept));
            }
            tx.keep(&holder, &domain, &sealed)?;
            Ok(Ok(()))
        };
        self.change(change, |()| Vec::new()).await
    }

    /// Takes away what a holder keeps under a domain; whether there was something.
    pub async fn unkeep(&self, holder: SecretHash, domain: Name) -> Result<bool> {
        let change = move |tx: &Tx<'_>| Ok(Ok(tx.unkeep(&holder, &domain)?));
        self.change(change, |_| Vec::new()).await
    }

    /// What a holder keeps under a domain.
    pub fn kept(&self, holder: &SecretHash, domain: &Name) -> Result<Option<Vec<u8>>> {
        Ok(self.0.store.read(|rows| rows.kept(holder, domain))?)
    }

    /// Everything that a holder keeps, by domain.
    pub fn all_kept(&self, holder: &SecretHash) -> Result<Vec<(Name, Vec<u8>)>> {
        Ok(self.0.store.read(|rows| rows.all_kept(holder))?)
    }
}
