//! `/accounts/{who}/delegations`: whether the challenges of an account's domains lead to the account, as the DNS says now.

use std::collections::{BTreeMap, HashMap};
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
/// How long a reply waits for the DNS.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a result stands, so that a page that is loaded again and again asks resolvers seldom.
const FRESH: Duration = Duration::from_secs(4);
/// The most results that stand at a time.
const MAX_RESULTS: usize = 512;

/// Looks up where challenges lead. A cheap handle.
#[derive(Debug, Clone)]
pub struct DelegationChecks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: DnsClient,
    recent: Mutex<HashMap<Name, (Instant, TargetCheck)>>,
}

impl DelegationChecks {
    /// Checks through this client.
    pub fn new(client: DnsClient) -> Self {
        Self(Arc::new(Inner { client, recent: Mutex::default() }))
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<Name, (Instant, TargetCheck)>> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result for each domain; a domain without one had no answer in time.
    async fn check(&self, domains: &[Name], publisher: &Publisher) -> BTreeMap<Name, TargetCheck> {
        let now = Instant::now();
        let mut found: BTreeMap<Name, TargetCheck> = BTreeMap::new();
        {
            let mut recent = self.recent();
            recent.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
            let known = domains.iter().filter_map(|domain| Some((domain.clone(), recent.get(domain)?.1.clone())));
            found.extend(known);
        }
        let unknown = domains.iter().filter(|domain| !found.contains_key(*domain));
        let unknown: Vec<Identifier> = unknown.filter_map(|domain| domain.to_string().parse().ok()).collect();
        let search = TargetSearch {
            zones: publisher.zones().clone(),
            client: self.0.client.clone(),
            method: ValidationMethod::Dns01,
            proven_before: ProvenTargets::new(),
            now: publisher.now(),
        };
        let checking = unknown.into_iter().map(|name| {
            let search = search.clone();
            async move { timeout(PATIENCE, search.check(&[name])).await.unwrap_or_default() }
        });
        let checked: Vec<TargetCheck> =
            checking.collect::<tokio::task::JoinSet<_>>().join_all().await.into_iter().flatten().collect();
        let mut recent = self.recent();
        for check in checked {
            if recent.len() < MAX_RESULTS {
                recent.insert(check.base.clone(), (now, check.clone()));
            }
            found.insert(check.base.clone(), check);
        }
        found
    }
}

/// The domains that the account is known to be for, or the one that the request names.
pub async fn list(
    State(checks): State<Option<DelegationChecks>>,
    State(publisher): State<Publisher>,
    State(facts): State<Arc<Facts>>,
    Path(who): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let params = params.only(&["domain"])?;
    let Some(checks) = checks else {
        return Err(Failure::NotFound("no daemon runs; start it with `txtgate serve`".into()));
    };
    let account = who::account(&publisher, who).await?;
    let domains = match params.text("domain") {
        Some(typed) => vec![domain_of(typed).map_err(|error| Failure::field("bad_domain", "domain", error))?],
        None => domains_of(&account),
    };
    let found = checks.check(&domains, &publisher).await;
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

fn view(domain: &Name, check: Option<&TargetCheck>, account: &Account, facts: &Facts) -> DelegationView {
    let fulldomain = account.owners.first().map(ToString::to_string).unwrap_or_default();
    let records = facts.server.delegation(&domain.to_string(), &fulldomain);
    let (assessment, text) = match check {
        None => (Assessment::Unknown, "no answer in time; load the page again".to_owned()),
        Some(TargetCheck { location: Location::Owner(owner), .. }) if account.owns(owner) => {
            (Assessment::Good, format!("it leads to {owner}"))
        }
        Some(TargetCheck { location: Location::Owner(owner), .. }) => {
            (Assessment::Fault, format!("it leads to {owner}, which is not this account's name"))
        }
        Some(TargetCheck { finding, .. }) => (finding.assessment, finding.answer.clone()),
    };
    DelegationView {
        domain: domain.to_string(),
        looked_at: check.map_or_else(|| format!("{CHALLENGE_LABEL}.{domain}"), |check| check.looked_at.to_string()),
        assessment,
        text,
        records,
    }
}
