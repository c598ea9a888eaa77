//! Waiting until every nameserver serves what an UPDATE has published.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;

use crate::delegation::propagation::wanted::{Rules, Wanted};
use crate::delegation::propagation::{Propagation, WaitPermit};
use crate::model::account::Username;
use crate::model::name::Owner;
use crate::publisher::ValueEdit;

use super::refusal::UpdateFailure;

/// The most names of one UPDATE that are waited for at the same time.
const AT_ONCE: usize = 16;

/// What an UPDATE waits for.
pub struct UpdateWait {
    propagation: Propagation,
    /// The values that are there after the UPDATE, of those that it publishes.
    published: BTreeMap<Owner, Vec<String>>,
}

impl UpdateWait {
    /// Waits for what these edits leave published; `None` if that is nothing.
    pub fn of(propagation: Propagation, edits: &[ValueEdit]) -> Option<Self> {
        let mut published = BTreeMap::<Owner, Vec<String>>::new();
        for edit in edits {
            match edit {
                ValueEdit::Publish(owner, txt) => published.entry(owner.clone()).or_default().push(txt.to_string()),
                ValueEdit::Retire(owner, txt) => {
                    let txt = txt.to_string();
                    published.entry(owner.clone()).or_default().retain(|value| *value != txt);
                }
                ValueEdit::Clear(owner) => _ = published.remove(owner),
            }
        }
        published.retain(|_, values| !values.is_empty());
        (!published.is_empty()).then_some(Self { propagation, published })
    }

    /// The right to wait.
    pub fn permit(&self, account: Username) -> Result<WaitPermit, UpdateFailure> {
        Ok(self.propagation.permit(Some(account))?)
    }

    /// Waits until every nameserver serves all values.
    pub async fn until_served(self, permit: WaitPermit) -> Result<(), UpdateFailure> {
        let permit = Arc::new(permit);
        let deadline = Instant::now() + self.propagation.limit();
        let mut all = self.published.into_iter();
        loop {
            let mut waits = JoinSet::new();
            for (owner, values) in all.by_ref().take(AT_ONCE) {
                let wanted = Wanted::new(&owner, values, Rules::EveryAddress);
                let Ok(wanted) = wanted else { return Err(UpdateFailure::NotServed) };
                let (propagation, permit) = (self.propagation.clone(), permit.clone());
                let left = deadline.saturating_duration_since(Instant::now());
                waits.spawn(async move { (owner, propagation.wait(&permit, wanted, left).await) });
            }
            if waits.is_empty() {
                return Ok(());
            }
            while let Some(done) = waits.join_next().await {
                let Ok((owner, evidence)) = done else { return Err(UpdateFailure::NotServed) };
                if !evidence.is_served() {
                    let lacking = evidence.lacking().map(|address| format!("{}: {}", address.server(), address.answer));
                    let lacking = lacking.chain(evidence.notes.clone()).collect::<Vec<_>>().join("; ");
                    info!(%owner, "an UPDATE was carried out, and not every nameserver serves its value: {lacking}");
                    return Err(UpdateFailure::NotServed);
                }
            }
        }
    }
}
