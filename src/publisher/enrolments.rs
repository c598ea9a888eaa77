//! Enrolment tokens: made and revoked by the operator, counted with the registrations that they pay for.

use tracing::info;

use crate::model::enrolment::{Enrolment, EnrolmentId, Over, Terms};
use crate::model::name::{Owner, Subdomain, ZoneName};
use crate::model::secret::SecretHash;
use crate::store::writer::Tx;

use super::{Choice, Decided, Inner, PublishError, Publisher, Result};

/// The most tokens that are kept; used up and expired ones count until they are revoked.
pub const MAX_ENROLMENTS: i64 = 10_000;

impl Publisher {
    /// Keeps the hash of a new token, and what it is good for.
    pub async fn enrol(&self, hash: SecretHash, terms: Terms) -> Result<Enrolment> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            if tx.count_enrolments()? >= MAX_ENROLMENTS {
                return Ok(Err(PublishError::TooManyEnrolments));
            }
            let created = inner.clock.now();
            let id = tx.insert_enrolment(&hash, &terms, created)?;
            Ok(Ok(Enrolment { id, terms: terms.clone(), used: 0, created }))
        };
        let enrolment = self.change(change, |_| Vec::new()).await?;
        info!(id = %enrolment.id, "enrolment token made");
        Ok(enrolment)
    }

    /// Revokes a token; false where there is none of that id. What was registered with it stays.
    pub async fn revoke(&self, id: EnrolmentId) -> Result<bool> {
        let change = move |tx: &Tx<'_>| Ok(Ok(tx.remove_enrolment(id)?));
        let was_there = self.change(change, |_| Vec::new()).await?;
        if was_there {
            info!(%id, "enrolment token revoked");
        }
        Ok(was_there)
    }

    /// All tokens, the oldest first.
    pub fn enrolments(&self) -> Result<Vec<Enrolment>> {
        Ok(self.0.store.read(|rows| rows.enrolments())?)
    }

    /// The token with a hash.
    pub fn enrolment_of(&self, hash: &SecretHash) -> Result<Option<Enrolment>> {
        Ok(self.0.store.read(|rows| rows.enrolment_of(hash))?)
    }
}

impl Inner {
    /// The label that is to be given: the chosen one, or one that the token names; `None`: a random one. Counts the
    /// token's use, in the transaction of the registration: raced for, it is used no more often than it may be.
    pub(super) fn label_wanted(&self, tx: &Tx<'_>, choice: &Choice, zone: &ZoneName) -> Decided<Option<Subdomain>> {
        let Some(id) = choice.enrolment else { return Ok(Ok(choice.subdomain.clone())) };
        let Some(enrolment) = tx.enrolment(id)? else { return Ok(Err(PublishError::Enrolment(Over::Revoked))) };
        if let Some(over) = enrolment.over(self.clock.now()) {
            return Ok(Err(PublishError::Enrolment(over)));
        }
        tx.use_enrolment(id)?;
        match &choice.subdomain {
            Some(chosen) if !enrolment.allows_label(chosen) => {
                Ok(Err(PublishError::LabelReserved(chosen.clone(), "the enrolment token does not allow it")))
            }
            None if !enrolment.terms.labels.is_empty() => self.first_free(tx, &enrolment, zone),
            chosen => Ok(Ok(chosen.clone())),
        }
    }

    /// For clients that cannot choose: the first label that the token names, that may be had and that nobody has.
    fn first_free(&self, tx: &Tx<'_>, enrolment: &Enrolment, zone: &ZoneName) -> Decided<Option<Subdomain>> {
        for label in enrolment.exact_labels() {
            let owner = Owner::subdomain(zone.clone(), label.clone());
            if self.refusal_of_choice(&label, zone).is_none() && !Self::is_taken(tx, &owner)? {
                return Ok(Ok(Some(label)));
            }
        }
        Ok(Err(PublishError::NoLabelLeft))
    }
}
