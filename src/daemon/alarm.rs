//! Validations that nothing explains, for the notifications: somebody else may be trying to get a certificate.

mod unused;

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::warn;

use crate::config::Notify;
use crate::model::account::Account;
use crate::model::name::Owner;
use crate::model::name::idn::both_ways;
use crate::model::text::listed;
use crate::notify::matter::{Matter, MatterKind};
use crate::notify::report::MatterView;
use crate::publisher::Publisher;
use crate::querylog::{QueryLog, UnexpectedValidation};

use unused::UnusedAccounts;

/// The longest time in which a value may follow the queries: a client may have told its CA too early.
const LONGEST_GRACE: Duration = Duration::from_secs(120);
/// How long an alarm lasts after the last such queries.
const LASTS: Duration = Duration::from_secs(3_600);
/// The same for an account that was unused for long. Nothing else shows that it has come back, so people get a day to see it.
const UNUSED_LASTS: Duration = Duration::from_secs(86_400);
/// How long the store may take to say whose a name is. An alarm says less without that, and comes all the same.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// The most alarms at the same time.
const MAX_ALARMS: usize = 100;

/// The alarms that last.
#[derive(Debug)]
pub struct Alarms {
    query_log: QueryLog,
    grace: Duration,
    unused: UnusedAccounts,
    open: Vec<(Instant, Matter)>,
    /// Whether it is logged that there is no room for another alarm, until there is room again.
    is_full: bool,
}

impl Alarms {
    /// The alarms that an earlier run has reported, which last anew: a restart is no reason to report that they are over.
    pub fn new(query_log: QueryLog, settings: &Notify, reported: Vec<MatterView>) -> Self {
        let mut open = Vec::new();
        for view in reported {
            let is_wanted = view.kind != MatterKind::UnusedAccount || settings.unused_account.is_some();
            if view.reported && lasts(view.kind).is_some() && is_wanted && open.len() < MAX_ALARMS {
                let again = Matter::new(view.kind, &view.subject, &view.summary, &view.details);
                open.push((Instant::now(), again));
            }
        }
        Self {
            query_log,
            grace: settings.grace.min(LONGEST_GRACE),
            unused: UnusedAccounts::new(settings.unused_account),
            open,
            is_full: false,
        }
    }

    /// The alarms now.
    pub async fn look(&mut self, publisher: &Publisher) -> Vec<Matter> {
        self.open.retain(|(since, alarm)| lasts(alarm.kind).is_some_and(|lasts| since.elapsed() < lasts));
        for alarm in self.unused.look(&self.query_log, publisher, READ_LIMIT).await {
            self.raise(alarm);
        }
        let mut is_answering = true;
        for found in self.query_log.take_unexpected(self.grace) {
            let account = match is_answering {
                true => timeout(READ_LIMIT, account_at(publisher, &found.owner)).await,
                false => Ok(None),
            };
            is_answering &= account.is_ok();
            let account = account.ok().flatten();
            // The log knows nothing of values that ended before the daemon's start.
            let published = account.as_ref().and_then(|account| account.last_update);
            if published.is_some_and(|at| found.is_aftermath_of(at.into())) {
                continue;
            }
            self.raise(alarm(&found, account.as_ref()));
        }
        self.open.iter().map(|(_, matter)| matter.clone()).collect()
    }

    fn raise(&mut self, alarm: Matter) {
        self.open.retain(|(_, open)| (open.kind, &open.subject) != (alarm.kind, &alarm.subject));
        if self.open.len() < MAX_ALARMS {
            self.open.push((Instant::now(), alarm));
            self.is_full = false;
        } else if !std::mem::replace(&mut self.is_full, true) {
            let Matter { kind, subject, summary, .. } = &alarm;
            warn!(%kind, %subject, "{MAX_ALARMS} alarms are open already; this one and others are not reported: {summary}");
        }
    }
}

/// How long an alarm lasts after its cause; `None`: the matter is none.
fn lasts(kind: MatterKind) -> Option<Duration> {
    match kind {
        MatterKind::UnexpectedValidation => Some(LASTS),
        MatterKind::UnusedAccount => Some(UNUSED_LASTS),
        _ => None,
    }
}

async fn account_at(publisher: &Publisher, owner: &Owner) -> Option<Account> {
    let (publisher, owner) = (publisher.clone(), owner.clone());
    let read = tokio::task::spawn_blocking(move || publisher.account_at(&owner).ok().flatten());
    read.await.ok().flatten()
}

fn alarm(found: &UnexpectedValidation, account: Option<&Account>) -> Matter {
    let name = found.owner.to_string();
    let note = account.map(|account| account.note.as_str()).filter(|note| !note.is_empty());
    let who = note.map_or_else(|| name.clone(), |note| format!("{} ({name})", both_ways(note)));
    let last = match account.map(|account| account.last_update) {
        Some(Some(at)) => format!(" The account last published at {at}."),
        Some(None) => " The account has never published.".to_owned(),
        None => String::new(),
    };
    let details = format!(
        "{} networks from which CAs validate asked for TXT from {} to {}: {}. Nobody has published a value there.{last} If it \
         was a client of yours, it failed to publish: look at its log. If not, somebody else may be trying to get a certificate: \
         look at the account's keys, at the domain's CAA records, and into the logs of Certificate Transparency.",
        found.networks.len(),
        found.from.seconds(),
        found.until.seconds(),
        listed(&found.networks),
    );
    let summary = format!("a CA seems to have validated {who}, where no value is published");
    Matter::new(MatterKind::UnexpectedValidation, &name, &summary, &details)
}
