//! Verdicts in replies: what the queries for an account's values mean.

use std::time::Duration;

use tokio::time::timeout;

use crate::model::account::Account;
use crate::model::name::{CHALLENGE_LABEL, Name, Owner, domain_of};
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;
use crate::querylog::QueryLog;
use crate::querylog::judged::{OwnerVerdicts, ValueVerdict};
use crate::querylog::verdict::{LeadsTo, VerdictCode};

use super::types::accounts::{AccountView, OwnerView};
use super::types::values::{JudgedValue, NamedValue, RetiredView};

/// How long to look for the end of a challenge's CNAME. A reply with a less exact verdict is better than a late one.
const LOOK: Duration = Duration::from_secs(2);
/// The names of a list that get verdicts.
const MAX_NAMES: usize = 256;
/// The names of one account of a list that are looked at.
const MAX_OWNERS_JUDGED: usize = 8;
/// The retired values that a reply about an account shows of each name.
const MAX_RETIRED: usize = 4;

/// Draws verdicts; a cheap handle.
#[derive(Clone, Debug)]
pub struct Verdicts {
    log: QueryLog,
    /// Follows the CNAME of a challenge's name.
    lookup: DnsClient,
}

impl Verdicts {
    /// Verdicts by what this log knows.
    pub fn new(log: QueryLog, lookup: DnsClient) -> Self {
        Self { log, lookup }
    }

    /// Adds the verdicts to an account. Where nobody has asked for the newest value, the note's domain tells whether its
    /// challenge leads to another account.
    pub async fn judge(&self, view: &mut AccountView, account: &Account, publisher: &Publisher) {
        let mut challenge = ChallengeLookup::of(account, None);
        for (owner, owner_view) in account.owners.iter().zip(&mut view.owners) {
            let verdicts = self.of_owner(owner, &mut challenge, publisher).await;
            judge_owner(owner_view, verdicts);
        }
    }

    /// Adds to each account of a list its newest value that the log knows, as far as the log alone can judge it.
    pub fn judge_accounts(&self, views: &mut [AccountView], accounts: &[Account]) {
        for (view, account) in views.iter_mut().zip(accounts).take(MAX_NAMES) {
            let judged = account.owners.iter().take(MAX_OWNERS_JUDGED).filter_map(|owner| {
                let newest = self.log.verdicts(owner, None).values.into_iter().next()?;
                judged_value(owner, newest)
            });
            view.newest = judged.max_by_key(|value| value.published);
        }
    }

    /// Adds the verdicts to a list of values, in which those of one name follow each other.
    pub fn judge_list(&self, values: &mut [NamedValue], publisher: &Publisher) {
        for of_name in values.chunk_by_mut(|one, other| one.name == other.name).take(MAX_NAMES) {
            let owner = of_name[0].name.parse().ok().and_then(|name: Name| owner_at(&name, publisher));
            let verdicts = owner.map(|owner| self.log.verdicts(&owner, None)).unwrap_or_default();
            for item in of_name {
                item.value.verdict = verdicts.of(item.value.txt.as_str()).cloned();
            }
        }
    }

    /// The values of an owner, served now or until lately, newest first. `challenge`: what they are for.
    pub async fn judged(
        &self,
        owner: &Owner,
        challenge: &mut ChallengeLookup<'_>,
        publisher: &Publisher,
    ) -> Vec<JudgedValue> {
        let verdicts = self.of_owner(owner, challenge, publisher).await;
        verdicts.values.into_iter().filter_map(|value| judged_value(owner, value)).collect()
    }

    async fn of_owner(
        &self,
        owner: &Owner,
        challenge: &mut ChallengeLookup<'_>,
        publisher: &Publisher,
    ) -> OwnerVerdicts {
        let verdicts = self.log.verdicts(owner, None);
        let newest = verdicts.values.first().map(|value| value.verdict.code);
        if newest != Some(VerdictCode::NobodyAsked) {
            return verdicts;
        }
        match challenge.leads_to(&self.lookup, publisher).await {
            Some(leads_to) => self.log.verdicts(owner, Some(leads_to)),
            None => verdicts,
        }
    }
}

/// Where the challenge of an account's domain leads; looked up when it is first needed, and once for all its names.
#[derive(Debug)]
pub struct ChallengeLookup<'a> {
    account: &'a Account,
    domain: Option<Name>,
    found: Option<Option<LeadsTo>>,
}

impl<'a> ChallengeLookup<'a> {
    /// Of this domain, or else of the one in the account's note.
    pub fn of(account: &'a Account, domain: Option<Name>) -> Self {
        let domain = domain.or_else(|| domain_of(account.note.as_str()).ok());
        Self { account, domain, found: None }
    }

    async fn leads_to(&mut self, client: &DnsClient, publisher: &Publisher) -> Option<&LeadsTo> {
        if self.found.is_none() {
            self.found = Some(self.look_up(client, publisher).await);
        }
        self.found.as_ref()?.as_ref()
    }

    /// Where the challenge of a domain leads, if that is a name of our zones that the account does not own.
    async fn look_up(&self, client: &DnsClient, publisher: &Publisher) -> Option<LeadsTo> {
        let challenge = self.domain.as_ref()?.child(CHALLENGE_LABEL).ok()?;
        let is_ours = |name: &Name| owner_at(name, publisher).is_some();
        let chain = timeout(LOOK, client.cname_chain(&challenge, is_ours)).await.ok()?.ok()?;
        let end = chain.last()?.clone();
        let owner = owner_at(&end, publisher)?;
        (!self.account.owns(&owner)).then_some(LeadsTo { challenge, end })
    }
}

/// The value of a challenge. `None`: it is a persistent authorization.
fn judged_value(owner: &Owner, value: ValueVerdict) -> Option<JudgedValue> {
    let ValueVerdict { value, published, retired, verdict } = value;
    let txt = value.parse().ok()?;
    Some(JudgedValue { name: owner.to_string(), txt, published, retired, verdict })
}

/// The owner with a name.
fn owner_at(name: &Name, publisher: &Publisher) -> Option<Owner> {
    publisher.zones().load().iter().find_map(|zone| Owner::at(name, &zone.name))
}

fn judge_owner(view: &mut OwnerView, verdicts: OwnerVerdicts) {
    for value in &mut view.values {
        let text = value.txt.as_str();
        value.verdict = verdicts.of(text).cloned();
        let served = verdicts.values.iter().find(|known| known.retired.is_none() && known.value == text);
        value.published_at = served.map(|known| known.published);
    }
    let retired = verdicts.values.into_iter().filter_map(|value| {
        let (txt, retired) = (value.value.parse().ok()?, value.retired?);
        Some(RetiredView { txt, published: value.published, retired, verdict: value.verdict })
    });
    view.retired = retired.take(MAX_RETIRED).collect();
    view.verdict = verdicts.empty;
}
