//! Validations for accounts that were unused for long: a forgotten account's key may be in the wrong hands.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::daemon::outstanding::Outstanding;
use crate::model::account::{Account, Username};
use crate::model::cadence::Pause;
use crate::model::name::Owner;
use crate::model::name::idn::both_ways;
use crate::model::text::listed;
use crate::model::time::RunningTime;
use crate::notify::matter::{Matter, MatterKind};
use crate::publisher::Publisher;
use crate::querylog::QueryLog;
use crate::querylog::vantages::Validation;
use crate::store::StoreError;

/// The most validations that wait for the store.
const MAX_WAITING: usize = 4_096;
/// The most returns that are remembered, so that each is reported once.
const MAX_TOLD: usize = 1_000;

type Answer = Result<Vec<(Validation, Option<Account>)>, StoreError>;

/// Looks whose values are validated.
#[derive(Debug)]
pub struct UnusedAccounts {
    /// An account without a usual span counts as unused after this time; `None`: nothing is reported.
    unlearnt: Option<Duration>,
    /// Validations whose accounts are not known yet.
    waiting: BTreeMap<Owner, Validation>,
    outstanding: Outstanding<Answer>,
    /// What was reported, by the account and the end of its pause, oldest first.
    told: Vec<(Username, RunningTime)>,
}

impl UnusedAccounts {
    /// `unlearnt`: how long an account without a usual span must have been unused; `None`: nothing is reported.
    pub fn new(unlearnt: Option<Duration>) -> Self {
        Self { unlearnt, waiting: BTreeMap::new(), outstanding: Outstanding::default(), told: Vec::new() }
    }

    /// The validations since the last call for accounts that had been unused for long. Where the store does not answer
    /// within `limit`, the next call returns them.
    pub async fn look(&mut self, query_log: &QueryLog, publisher: &Publisher, limit: Duration) -> Vec<Matter> {
        let validated = query_log.take_validated();
        let Some(unlearnt) = self.unlearnt else { return Vec::new() };
        for validation in validated {
            if self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&validation.owner) {
                self.waiting.insert(validation.owner.clone(), validation);
            }
        }
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let asked: Vec<Validation> = self.waiting.values().cloned().collect();
        let reader = publisher.clone();
        let read = move || asked.into_iter().map(|one| Ok((one.clone(), reader.account_at(&one.owner)?))).collect();
        let Some(Ok(found)) = self.outstanding.answer(limit, || tokio::task::spawn_blocking(read)).await else {
            return Vec::new();
        };
        let now = publisher.moment().running;
        let mut alarms = Vec::new();
        for (validation, account) in found {
            // A later one was not looked up yet.
            if self.waiting.get(&validation.owner) == Some(&validation) {
                self.waiting.remove(&validation.owner);
            }
            let Some(account) = account else { continue };
            let pause = account.cadence.pause().filter(|pause| pause.is_recent(now) && pause.is_long(unlearnt));
            if let Some(pause) = pause
                && self.is_new(account.username, pause.ended)
            {
                alarms.push(alarm(&validation, &account, pause));
            }
        }
        alarms
    }

    /// Whether the account's return was not reported yet.
    fn is_new(&mut self, username: Username, ended: RunningTime) -> bool {
        if self.told.contains(&(username, ended)) {
            return false;
        }
        self.told.retain(|(told, _)| *told != username);
        if self.told.len() >= MAX_TOLD {
            self.told.remove(0);
        }
        self.told.push((username, ended));
        true
    }
}

fn alarm(validation: &Validation, account: &Account, pause: Pause) -> Matter {
    let name = validation.owner.to_string();
    let note = account.note.as_str();
    let who = if note.is_empty() { name.clone() } else { format!("{} ({name})", both_ways(note)) };
    let days = |span: Duration| span.as_secs() / 86_400;
    let usual = pause.usual().map(|usual| format!(", where it renews every {} days or so", days(usual)));
    let unused = days(pause.span());
    let username = account.username;
    let summary = format!("a CA seems to have validated {who}, whose account had published nothing for {unused} days");
    let details = format!(
        "{} networks got a value at {name} from {} on: {}. The account {username} had published nothing for {unused} days of \
         the daemon's running time{}. If a client of yours has come back, nothing has to be done. If not, somebody else has the \
         account's key: run `txtgate account disable {username}`, and look at the domain's CAA records and into the logs of \
         Certificate Transparency.",
        validation.networks.len(),
        validation.at.seconds(),
        listed(&validation.networks),
        usual.unwrap_or_default(),
    );
    Matter::new(MatterKind::UnusedAccount, &username.to_string(), &summary, &details)
}
