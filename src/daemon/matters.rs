//! Looks for what needs attention, round after round, and reports it to the notifier.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::acme::certificate::CertificateInfo;
use crate::certificates::Certificates;
use crate::certificates::managed::report::ManagedCertificateView;
use crate::certificates::renewal_task::Attempts;
use crate::doctor::report::Report;
use crate::file::folder_of;
use crate::model::account::Account;
use crate::model::name::idn::both_ways;
use crate::model::time::{Moment, Timestamp};
use crate::net::tls::Tls;
use crate::notify::Notifier;
use crate::notify::matter::{Matter, MatterKind};
use crate::publisher::Publisher;
use crate::store::StoreError;

use super::alarm::Alarms;
use super::examinations::broken;
use super::outstanding::Outstanding;
use super::rekey::KeyProblems;

/// The bounds of the time between two rounds, which is a tenth of the grace time.
const ROUND: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long the disk may take to answer a look at it.
const DISK_LIMIT: Duration = Duration::from_secs(10);
/// A failure counts as lasting from this attempt on, also where much of the certificate's life is left.
const FAILURES: u32 = 3;
/// With less than this part of its life left, a certificate expires soon.
const LAST_PART: u32 = 4;
/// No certificate expires soon before this.
const SOON: Duration = Duration::from_secs(14 * 86_400);
/// The most overdue accounts that are reported one by one.
const MAX_OVERDUE: usize = 50;

/// What is looked at.
#[derive(Debug)]
pub struct Watched {
    pub publisher: Publisher,
    pub certificates: Certificates,
    /// Certificates from files, and what uses each.
    pub files: Vec<(&'static str, PathBuf, Tls)>,
    pub keys: KeyProblems,
    /// The doctor's reports; `None` where it does not examine the daemon.
    pub examinations: Option<watch::Receiver<Option<Arc<Report>>>>,
}

/// Looks at everything, for as long as the daemon runs.
pub async fn keep_watching(notifier: Notifier, watched: Watched, mut alarms: Alarms) {
    let mut rounds = interval((notifier.settings().grace / 10).clamp(ROUND.0, ROUND.1));
    // After a disk has hung, one round is enough.
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut disk, mut overdue) = (Outstanding::default(), Outstanding::default());
    loop {
        rounds.tick().await;
        let mut kinds = vec![
            MatterKind::RenewalFailed,
            MatterKind::CertificateExpires,
            MatterKind::Database,
            MatterKind::Clock,
            MatterKind::SigningKeys,
            MatterKind::UnexpectedValidation,
            MatterKind::UnusedAccount,
        ];
        let mut found = watched.of_certificates();
        found.extend(watched.clock());
        found.extend(watched.signing_keys());
        found.extend(alarms.look(&watched.publisher).await);
        let disk = watched.disk(&mut disk, notifier.settings().disk_free).await;
        if disk.is_known {
            kinds.push(MatterKind::DiskNearlyFull);
        }
        found.extend(disk.found);
        let overdue = match notifier.settings().overdue {
            true => watched.overdue(&mut overdue).await,
            false => Some(Vec::new()),
        };
        for (kind, matters) in
            [(MatterKind::AccountOverdue, overdue), (MatterKind::Delegation, delegation(watched.examinations.as_ref()))]
        {
            if let Some(matters) = matters {
                kinds.push(kind);
                found.extend(matters);
            }
        }
        notifier.report(&kinds, found).await;
    }
}

/// What is wrong with the store, and the free bytes where they are known.
type DiskAnswer = (Option<String>, Option<u64>);

/// What a look at the disk has found.
struct DiskReport {
    /// Whether the free space is known.
    is_known: bool,
    found: Vec<Matter>,
}

impl Watched {
    fn of_certificates(&self) -> Vec<Matter> {
        let now = self.publisher.now();
        let mut found = Vec::new();
        for view in self.certificates.managed().list() {
            found.extend(of_managed(&view, now));
        }
        if let Some(report) = self.certificates.api().map(|api| api.report()) {
            let shown = report.shown.as_ref().filter(|_| !report.self_signed);
            found.extend(renewal(API, shown, &report.attempts, now));
            found.extend(shown.and_then(|info| expiry(API, info, now)));
        }
        for (user, path, tls) in &self.files {
            let info = tls.shown().and_then(|shown| CertificateInfo::read(&shown).ok());
            found.extend(info.and_then(|info| file_expiry(user, path, &info, now)));
        }
        found
    }

    fn clock(&self) -> Option<Matter> {
        let behind = self.publisher.machine_clock().err()?;
        let details = format!(
            "{behind}. Nothing new is signed meanwhile. Correct the clock; if it is right now and was ahead before, run \
             `txtgate dnssec trust-clock`."
        );
        Some(Matter::new(MatterKind::Clock, "clock", "the machine's clock is not trustworthy", &details))
    }

    fn signing_keys(&self) -> Vec<Matter> {
        let mut found = Vec::new();
        for (zone, problem) in self.keys.all() {
            let summary = format!("the zone {zone} is signed with its former keys");
            found.push(Matter::new(MatterKind::SigningKeys, &zone, &summary, &problem));
        }
        found
    }

    /// The accounts that are overdue for longest; `None` where the store does not answer.
    async fn overdue(&self, outstanding: &mut Outstanding<Result<Vec<Account>, StoreError>>) -> Option<Vec<Matter>> {
        let (publisher, now) = (self.publisher.clone(), self.publisher.moment());
        let ask =
            || tokio::spawn(async move { publisher.read(move |rows| rows.overdue(now.running, MAX_OVERDUE)).await });
        let accounts = outstanding.answer(DISK_LIMIT, ask).await?.ok()?;
        Some(accounts.iter().map(|account| of_overdue(account, now)).collect())
    }

    /// The store and the free space. A disk that does not answer is a finding of its own.
    async fn disk(&self, outstanding: &mut Outstanding<DiskAnswer>, least: u64) -> DiskReport {
        let store = self.publisher.store().clone();
        let folder = folder_of(store.path()).to_owned();
        let database = store.path().display().to_string();
        let look = move || (store.problem().map(|problem| problem.to_string()), free(&folder));
        let answer = outstanding.answer(DISK_LIMIT, || tokio::task::spawn_blocking(look)).await;
        let (problem, free) = match answer {
            Some(found) => found,
            None => (Some(format!("the disk has not answered for {} s", DISK_LIMIT.as_secs())), None),
        };
        let mut found = Vec::new();
        if let Some(problem) = problem {
            let details = format!("{problem}. DNS goes on with what was stored before; see `txtgate status`.");
            found.push(Matter::new(MatterKind::Database, &database, "changes cannot be stored", &details));
        }
        if let Some(free) = free.filter(|free| *free < least) {
            let details = format!(
                "{} MiB are free where the database {database} is; `disk-free-mib` in [notify] asks for {}. Make room: on a \
                 full disk no value can be published.",
                free >> 20,
                least >> 20
            );
            found.push(Matter::new(MatterKind::DiskNearlyFull, &database, "the disk is nearly full", &details));
        }
        DiskReport { is_known: free.is_some(), found }
    }
}

/// What the last examination has found; `None` before the first one. Without examinations, what an earlier run has
/// reported is over.
fn delegation(examinations: Option<&watch::Receiver<Option<Arc<Report>>>>) -> Option<Vec<Matter>> {
    match examinations {
        Some(reports) => reports.borrow().as_ref().map(|report| broken(report)),
        None => Some(Vec::new()),
    }
}

const API: &str = "the API's certificate";

/// The free bytes for users other than root; `None` where the file system does not say.
fn free(folder: &Path) -> Option<u64> {
    let system = statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

fn of_overdue(account: &Account, now: Moment) -> Matter {
    let note = account.note.as_str();
    let name = account.owners.first().map(ToString::to_string).unwrap_or_default();
    let who = if note.is_empty() { name } else { format!("{} ({name})", both_ways(note)) };
    let days = account.cadence.usual().unwrap_or_default().as_secs() / 86_400;
    let expected = account.cadence.expected().map(|at| now.date_of(at).to_string()).unwrap_or_default();
    let summary = format!("the account of {who} has not renewed in its usual time");
    let details = format!(
        "It renews every {days} days or so, and was expected at {expected}. Its certificates may expire soon: look at the \
         client's log. If the account is not needed any more, run `txtgate account delete {}`.",
        account.username
    );
    Matter::new(MatterKind::AccountOverdue, &account.username.to_string(), &summary, &details)
}

fn of_managed(view: &ManagedCertificateView, now: Timestamp) -> Vec<Matter> {
    let report = &view.report;
    // A revoked certificate is not renewed, and its expiry is no news.
    let shown = report.shown.as_ref().filter(|_| !report.revoked);
    let title = format!("the certificate {}", view.name);
    let failed = renewal(&title, shown, &report.attempts, now);
    let expires = shown.and_then(|info| expiry(&title, info, now));
    failed.into_iter().chain(expires).map(|matter| Matter { subject: view.name.clone(), ..matter }).collect()
}

/// Whether getting or deploying a certificate fails in a way that matters: again and again, or with little time left.
fn renewal(title: &str, shown: Option<&CertificateInfo>, attempts: &Attempts, now: Timestamp) -> Option<Matter> {
    let problem = attempts.problem.as_ref()?;
    let is_lasting = attempts.failures >= FAILURES || shown.is_none_or(|info| is_in_last_part(info, now));
    let next = attempts.next_attempt.as_ref().map(|next| format!(" The next attempt begins at {next}."));
    let summary = match shown {
        Some(info) => format!("{title} fails to renew or deploy, and expires at {}", info.not_after),
        None => format!("{title} cannot be issued"),
    };
    let details = format!("{problem}.{}", next.unwrap_or_default());
    is_lasting.then(|| Matter::new(MatterKind::RenewalFailed, title, &summary, &details))
}

fn is_in_last_part(info: &CertificateInfo, now: Timestamp) -> bool {
    info.not_after.since(now) < info.not_after.since(info.not_before) / LAST_PART
}

fn expires_soon(info: &CertificateInfo, now: Timestamp) -> bool {
    is_in_last_part(info, now) && info.not_after.since(now) < SOON
}

fn expiring(title: &str, info: &CertificateInfo, now: Timestamp) -> String {
    let verb = if info.not_after <= now { "expired at" } else { "expires at" };
    format!("{title} {verb} {}", info.not_after)
}

fn expiry(title: &str, info: &CertificateInfo, now: Timestamp) -> Option<Matter> {
    if !expires_soon(info, now) {
        return None;
    }
    let details = format!("It is for {}. `txtgate cert list` shows why it is not renewed.", info.names.join(", "));
    Some(Matter::new(MatterKind::CertificateExpires, title, &expiring(title, info, now), &details))
}

fn file_expiry(user: &str, path: &Path, info: &CertificateInfo, now: Timestamp) -> Option<Matter> {
    if !expires_soon(info, now) {
        return None;
    }
    let path = path.display().to_string();
    let title = format!("the certificate of {user}");
    let details = format!(
        "It is for {}, and comes from the file {path}, which another program has to replace. The daemon reads the file \
         again when it changes.",
        info.names.join(", ")
    );
    Some(Matter::new(MatterKind::CertificateExpires, &path, &expiring(&title, info, now), &details))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::certificate::CertificateKey;
    use crate::config::KeyType;

    /// A certificate of 40 days, from 0 on.
    fn certificate() -> CertificateInfo {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let mut info = key.self_signed(&["a.example".parse().unwrap()]).unwrap().info;
        info.not_before = day(0);
        info.not_after = day(40);
        info
    }

    fn day(day: u64) -> Timestamp {
        Timestamp::from_unix(day * 86_400)
    }

    #[test]
    fn a_failed_renewal_matters_when_it_repeats_or_little_time_is_left() {
        let info = certificate();
        let attempts = |failures| Attempts { failures, problem: Some("x".into()), next_attempt: None };
        let matters = |shown, failures, now| renewal("t", shown, &attempts(failures), now).is_some();
        assert!(!matters(Some(&info), 2, day(27)) && matters(Some(&info), 3, day(27)));
        assert!(matters(Some(&info), 1, day(31)) && matters(None, 1, day(0)));
        assert!(renewal("t", None, &Attempts::default(), day(0)).is_none(), "nothing has failed");
    }

    #[test]
    fn a_certificate_expires_soon_in_the_last_quarter_of_its_life_and_at_most_two_weeks_before() {
        let info = certificate();
        assert!(!expires_soon(&info, day(30)) && expires_soon(&info, day(31)) && expires_soon(&info, day(50)));
        let mut long = certificate();
        long.not_after = day(400);
        assert!(!expires_soon(&long, day(380)) && expires_soon(&long, day(387)));
    }

    #[test]
    fn a_revoked_certificate_is_no_matter() {
        let mut view = ManagedCertificateView { name: "a".into(), ..ManagedCertificateView::default() };
        view.report.shown = Some(certificate());
        assert_eq!(of_managed(&view, day(39)).len(), 1);
        view.report.revoked = true;
        assert_eq!(of_managed(&view, day(39)).len(), 0);
    }

    #[test]
    fn without_examinations_a_delegation_that_was_reported_is_over_and_before_the_first_one_it_is_not() {
        assert_eq!(delegation(None), Some(Vec::new()));
        let (_reports, examinations) = watch::channel(None);
        assert_eq!(delegation(Some(&examinations)), None);
    }
}
