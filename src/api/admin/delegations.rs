//! `/accounts/{who}/delegations`: whether the challenges of an account's domains lead to the account, as the DNS says now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::timeout;

use crate::delegation::challenge_target::{Location, ProvenTargets, TargetCheck, TargetSearch, ValidationMethod};
use crate::delegation::finding::Assessment;
use crate::model::account::Account;
use crate::model::identifier::Identifier;
use crate::model::name::{CHALLENGE_LABEL, Name, domain_of};
use crate::net::dns_client::DnsClient;
use crate::publisher::Publisher;

use super::super::error::Failure;
use super::super::params::Params;
use super::super::reply;
use super::super::types::delegations::DelegationView;
use super::super::types::list::List;
use super::status::Facts;
use super::who;

/// The most domains of an account that are looked up.
const MAX_DOMAINS: usize = 8;
/// How long a look-up waits for the DNS.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a result stands, so that a page that is loaded again and again asks resolvers seldom.
const FRESH: Duration = Duration::from_secs(4);
/// How long a result is shown while the DNS is asked again.
const SHOWN: Duration = Duration::from_secs(12);
/// The most results that stand at a time.
const MAX_RESULTS: usize = 512;
/// The most look-ups at a time that no request waits for.
const MAX_UNDER_WAY: usize = 64;

/// Looks up where challenges lead. A cheap handle.
#[derive(Debug, Clone)]
pub struct DelegationChecks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: DnsClient,
    look_ups: Mutex<LookUps>,
}

/// The results of late, and what is under way.
#[derive(Debug, Default)]
struct LookUps {
    recent: HashMap<Name, (Instant, Outcome)>,
    /// What is looked up without a request that waits for it.
    under_way: HashSet<Name>,
}

impl LookUps {
    /// The result for a domain, if it is no older than that.
    fn known(&self, domain: &Name, age: Duration) -> Option<Outcome> {
        let (at, outcome) = self.recent.get(domain)?;
        (at.elapsed() < age).then(|| outcome.clone())
    }

    fn remember(&mut self, found: &Results) {
        self.recent.retain(|_, (at, _)| at.elapsed() < SHOWN);
        for (domain, outcome) in found {
            if self.recent.len() < MAX_RESULTS {
                self.recent.insert(domain.clone(), (Instant::now(), outcome.clone()));
            }
        }
    }
}

/// What is known of a domain.
#[derive(Debug, Clone)]
enum Outcome {
    Checked(Box<TargetCheck>),
    /// There was no answer in time.
    Silent,
    /// The DNS is being asked.
    Pending,
}

type Results = BTreeMap<Name, Outcome>;

impl DelegationChecks {
    /// Checks through this client.
    pub fn new(client: DnsClient) -> Self {
        Self(Arc::new(Inner { client, look_ups: Mutex::default() }))
    }

    fn look_ups(&self) -> MutexGuard<'_, LookUps> {
        self.0.look_ups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result for each domain, after a wait for the DNS.
    async fn check(&self, domains: &[Name], publisher: &Publisher) -> Results {
        let known = |domain: &Name| self.look_ups().known(domain, FRESH).map(|outcome| (domain.clone(), outcome));
        let mut found: Results = domains.iter().filter_map(known).collect();
        let unknown: Vec<Name> = domains.iter().filter(|domain| !found.contains_key(*domain)).cloned().collect();
        let looked_up = self.look_up(&unknown, publisher).await;
        self.look_ups().remember(&looked_up);
        found.extend(looked_up);
        found
    }

    async fn look_up(&self, domains: &[Name], publisher: &Publisher) -> Results {
        let search = TargetSearch {
            zones: publisher.zones().clone(),
            client: self.0.client.clone(),
            method: ValidationMethod::Dns01,
            proven_before: ProvenTargets::new(),
            now: publisher.now(),
        };
        let mut found: Results = domains.iter().map(|domain| (domain.clone(), Outcome::Silent)).collect();
        let names: Vec<Identifier> = domains.iter().filter_map(|domain| domain.to_string().parse().ok()).collect();
        let checking = names.into_iter().map(|name| {
            let search = search.clone();
            async move { timeout(PATIENCE, search.check(&[name])).await.unwrap_or_default() }
        });
        let checked = checking.collect::<tokio::task::JoinSet<_>>().join_all().await.into_iter().flatten();
        found.extend(checked.map(|check: TargetCheck| (check.base.clone(), Outcome::Checked(Box::new(check)))));
        found
    }

    /// What is known of each domain now. What is not known, or may be old, is looked up meanwhile.
    fn glance(&self, domains: &[Name], publisher: &Publisher) -> Results {
        let mut look_ups = self.look_ups();
        for domain in domains {
            let is_due = look_ups.known(domain, FRESH).is_none() && look_ups.under_way.len() < MAX_UNDER_WAY;
            if is_due && look_ups.under_way.insert(domain.clone()) {
                tokio::spawn(self.clone().look_up_alone(domain.clone(), publisher.clone()));
            }
        }
        let shown = |domain: &Name| look_ups.known(domain, SHOWN).unwrap_or(Outcome::Pending);
        domains.iter().map(|domain| (domain.clone(), shown(domain))).collect()
    }

    async fn look_up_alone(self, domain: Name, publisher: Publisher) {
        let found = self.look_up(std::slice::from_ref(&domain), &publisher).await;
        let mut look_ups = self.look_ups();
        look_ups.under_way.remove(&domain);
        look_ups.remember(&found);
    }
}

/// The domains that the account is known to be for, or the one that the request names. With `wait=false` the reply says what
/// is known already.
pub async fn list(
    State(checks): State<Option<DelegationChecks>>,
    State(publisher): State<Publisher>,
    State(facts): State<Arc<Facts>>,
    Path(who): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&["domain", "wait"])?;
    let Some(checks) = checks else {
        return Err(Failure::NotFound("no daemon runs; start it with `txtgate serve`".into()));
    };
    let account = who::account(&publisher, who).await?;
    let domains = match params.text("domain") {
        Some(typed) => vec![domain_of(typed).map_err(|error| Failure::field("bad_domain", "domain", error))?],
        None => domains_of(&account),
    };
    let found = match params.parsed("wait")? {
        Some(true) | None => checks.check(&domains, &publisher).await,
        Some(false) => checks.glance(&domains, &publisher),
    };
    let views = domains.iter().map(|domain| view(domain, found.get(domain), &account, &facts));
    Ok(reply::json(StatusCode::OK, &List::whole(views.collect())))
}

/// The domains that an account is for: those that its note mentions, and those of its aliases.
fn domains_of(account: &Account) -> Vec<Name> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '(' | ')');
    let words = account.note.as_str().split(is_separator).filter(|word| word.contains('.'));
    let aliases = account.aliases.iter().map(|own| own.alias.to_string());
    let mut domains: Vec<Name> = Vec::new();
    for text in words.map(str::to_owned).chain(aliases) {
        let Ok(domain) = domain_of(&text) else { continue };
        let is_domain = domain.as_ref().labels().count() > 1 && domain.to_string().parse::<Identifier>().is_ok();
        if is_domain && !domains.contains(&domain) && domains.len() < MAX_DOMAINS {
            domains.push(domain);
        }
    }
    domains
}

fn view(domain: &Name, found: Option<&Outcome>, account: &Account, facts: &Facts) -> DelegationView {
    let fulldomain = account.owners.first().map(ToString::to_string).unwrap_or_default();
    let records = facts.server.delegation(&domain.to_string(), &fulldomain);
    let (assessment, text) = match found {
        Some(Outcome::Checked(check)) => judged(check, account),
        Some(Outcome::Silent) | None => (Assessment::Unknown, "no answer in time; load the page again".to_owned()),
        Some(Outcome::Pending) => (Assessment::Unknown, "the DNS is being asked".to_owned()),
    };
    let looked_at = match found {
        Some(Outcome::Checked(check)) => check.looked_at.to_string(),
        _ => format!("{CHALLENGE_LABEL}.{domain}"),
    };
    let pending = matches!(found, Some(Outcome::Pending));
    DelegationView { domain: domain.to_string(), looked_at, assessment, text, pending, records }
}

fn judged(check: &TargetCheck, account: &Account) -> (Assessment, String) {
    match &check.location {
        Location::Owner(owner) if account.owns(owner) => (Assessment::Good, format!("it leads to {owner}")),
        Location::Owner(owner) => (Assessment::Fault, format!("it leads to {owner}, which is not this account's name")),
        _ => (check.finding.assessment, check.finding.answer.clone()),
    }
}
