//! Enrolment tokens: created and revoked by the operator, counted with the registrations that use them.

use tracing::info;

use crate::model::actor::Actor;
use crate::model::enrolment::{Enrolment, EnrolmentId, Over, Terms};
use crate::model::name::{Owner, Subdomain, ZoneName};
use crate::model::secret::SecretHash;
use crate::store::StoreError;
use crate::store::writer::Tx;
use crate::zone::change::{Action, Subject};

use super::limits::MAX_ENROLMENTS;
use super::{Abort, Choice, EnrolmentError, Inner, OwnerError, Publisher};

impl Publisher {
    /// Stores the hash of a new token, and its terms.
    pub async fn enrol(
        &self,
        actor: Actor,
        hash: SecretHash,
        terms: Terms,
    ) -> Result<Enrolment, Abort<EnrolmentError>> {
        let operation = move |tx: &Tx<'_>| {
            if tx.count_enrolments()? >= MAX_ENROLMENTS {
                return Err(EnrolmentError::TooMany.into());
            }
            let created = tx.now().date;
            let id = tx.insert_enrolment(&hash, &terms, created)?;
            tx.record(Action::CreateEnrolment, Subject::Enrolment(id));
            Ok(Enrolment { id, terms: terms.clone(), used: 0, created })
        };
        let enrolment = self.write(actor, operation).await?;
        info!(id = %enrolment.id, %actor, "enrolment token created");
        Ok(enrolment)
    }

    /// Revokes a token; false where there is none of that id. What was registered with it stays.
    pub async fn revoke(&self, actor: Actor, id: EnrolmentId) -> Result<bool, StoreError> {
        let operation = move |tx: &Tx<'_>| {
            let was_there = tx.remove_enrolment(id)?;
            if was_there {
                tx.record(Action::RevokeEnrolment, Subject::Enrolment(id));
            }
            Ok(was_there)
        };
        let was_there = self.write_freely(actor, operation).await?;
        if was_there {
            info!(%id, %actor, "enrolment token revoked");
        }
        Ok(was_there)
    }

    /// All tokens, the oldest first. Blocks.
    pub fn enrolments(&self) -> Result<Vec<Enrolment>, StoreError> {
        self.0.store.read(|rows| rows.enrolments())
    }

    /// The token with a hash. Blocks for microseconds.
    pub fn enrolment_of(&self, hash: &SecretHash) -> Result<Option<Enrolment>, StoreError> {
        self.0.store.read(|rows| rows.enrolment_of(hash))
    }
}

impl Inner {
    /// The label to give: the chosen one, or one that the token names; `None`: a random one. Counts the token's use in
    /// the transaction of the registration, so that no race uses it more often than its terms allow.
    pub(super) fn label_wanted(
        &self,
        tx: &Tx<'_>,
        choice: &Choice,
        zone: &ZoneName,
    ) -> Result<Option<Subdomain>, Abort<OwnerError>> {
        let Some(id) = choice.enrolment else { return Ok(choice.subdomain.clone()) };
        let enrolment = tx.enrolment(id)?.ok_or(Over::Revoked)?;
        if let Some(over) = enrolment.over(tx.now().running) {
            return Err(over.into());
        }
        tx.use_enrolment(id)?;
        tx.record(Action::UseEnrolment, Subject::Enrolment(id));
        match &choice.subdomain {
            Some(chosen) if !enrolment.allows_label(chosen) => {
                Err(OwnerError::LabelReserved(chosen.clone(), "the enrolment token does not allow it").into())
            }
            None if !enrolment.terms.labels.is_empty() => Ok(Some(self.first_free(tx, &enrolment, zone)?)),
            chosen => Ok(chosen.clone()),
        }
    }

    /// For clients that cannot choose: the first label that the token names, that may be chosen and that is free.
    fn first_free(&self, tx: &Tx<'_>, enrolment: &Enrolment, zone: &ZoneName) -> Result<Subdomain, Abort<OwnerError>> {
        for label in enrolment.exact_labels() {
            let owner = Owner::subdomain(zone.clone(), label.clone());
            if self.check_choice(&label, zone).is_ok() && !Self::is_taken(tx, &owner)? {
                return Ok(label);
            }
        }
        Err(OwnerError::NoLabelLeft.into())
    }
}
