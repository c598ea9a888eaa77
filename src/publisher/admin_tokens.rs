//! Tokens of the admin API over the network: created and revoked by the operator.

use tracing::info;

use crate::model::actor::Actor;
use crate::model::admin_token::{AdminToken, AdminTokenId, AdminTokenTerms};
use crate::model::secret::SecretHash;
use crate::store::StoreError;
use crate::store::writer::Tx;
use crate::zone::change::{Action, Subject};

use super::limits::MAX_ADMIN_TOKENS;
use super::{Abort, AdminTokenError, Publisher};

impl Publisher {
    /// Stores the hash of a new token, and its terms.
    pub async fn create_admin_token(
        &self,
        actor: Actor,
        hash: SecretHash,
        terms: AdminTokenTerms,
    ) -> Result<AdminToken, Abort<AdminTokenError>> {
        let operation = move |tx: &Tx<'_>| {
            if tx.count_admin_tokens()? >= MAX_ADMIN_TOKENS {
                return Err(AdminTokenError::TooMany.into());
            }
            let created = tx.now().date;
            let id = tx.insert_admin_token(&hash, &terms, created)?;
            tx.record(Action::CreateAdminToken, Subject::AdminToken(id));
            Ok(AdminToken { id, terms: terms.clone(), created })
        };
        let token = self.write(actor, operation).await?;
        info!(id = %token.id, scope = %token.terms.scope, %actor, "admin token created");
        Ok(token)
    }

    /// Revokes a token; false where there is none of that id.
    pub async fn revoke_admin_token(&self, actor: Actor, id: AdminTokenId) -> Result<bool, StoreError> {
        let operation = move |tx: &Tx<'_>| {
            let was_there = tx.remove_admin_token(id)?;
            if was_there {
                tx.record(Action::RevokeAdminToken, Subject::AdminToken(id));
            }
            Ok(was_there)
        };
        let was_there = self.write_freely(actor, operation).await?;
        if was_there {
            info!(%id, %actor, "admin token revoked");
        }
        Ok(was_there)
    }

    /// All tokens, the oldest first. Blocks.
    pub fn admin_tokens(&self) -> Result<Vec<AdminToken>, StoreError> {
        self.0.store.read(|rows| rows.admin_tokens())
    }

    /// The token with a hash. Blocks for microseconds.
    pub fn admin_token_of(&self, hash: &SecretHash) -> Result<Option<AdminToken>, StoreError> {
        self.0.store.read(|rows| rows.admin_token_of(hash))
    }
}
