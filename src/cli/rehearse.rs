//! `rehearse`: the internet that a configuration claims, on the loopback of this machine, and a validation in it.
//!
//! The root, the zones above the daemon's and the users' domains are simulated in this process. An ACME client publishes
//! over the HTTP API, and six vantage points of a CA walk from the root to the values. The walks end at the daemon that runs
//! with the configuration, or at one that is started for the rehearsal with a temporary database.

mod account;
mod api;
mod internet;
mod listener;
mod nameserver;
mod plan;
mod query_log;
mod records;
mod report;
mod served;
mod signing;
mod vantage;
mod view;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::types::accounts::AccountCredentials;
use crate::config::Config;
use crate::config::keys::SHIPPED;
use crate::config::source::ConfigSource;
use crate::model::name::Name;
use crate::model::txt::TxtValue;
use crate::net::dns_client::DnsClient;

use super::error::{CliError, Result};
use super::output::{Output, print, print_json};
use super::table::is_terminal;
use account::{TemporaryAccount, existing, random_value};
use internet::{Internet, TargetAlias};
use listener::DnsListener;
use plan::{Plan, Target, Way};
use report::{DaemonReport, Finding, Published, Report, TargetReport, ZoneReport};
use served::Served;
use signing::ZoneDs;

/// `rehearse [NAME...]`
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Domains that clients will get certificates for, like example.com
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Show every question of every vantage point, as it was sent
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

/// The configuration of a rehearsal.
struct Chosen {
    config: Config,
    described: String,
    /// Whether a daemon may run with it: not with the one that is in the program.
    may_run: bool,
}

/// The work under way, which a signal ends.
struct Rehearsal<'a> {
    runtime: &'a Runtime,
    signals: Signals,
    config: &'a Config,
    served: &'a Served,
    plan: &'a Plan,
    ds: Vec<ZoneDs>,
}

/// A target with its account, if the rehearsal could make one, and the values to publish.
struct Staged<'a> {
    target: &'a Target,
    account: std::result::Result<TemporaryAccount<'a>, String>,
    fulldomain: Name,
    values: Vec<(String, TxtValue)>,
}

/// Rehearses and prints what has happened. Fails if a CA would not find what was published.
pub fn rehearse(wanted: &Rehearse, named: Option<PathBuf>) -> Result<()> {
    let start = Instant::now();
    let chosen = choose(named)?;
    has_loopback()?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let signals = runtime.block_on(async { Signals::new() })?;
    let served = Served::find(&chosen.config, chosen.may_run, &runtime)?;
    let outcome = perform(wanted, &chosen, &runtime, signals, &served);
    served.stop(&runtime);
    let mut report = outcome?;
    report.milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let has_colours = is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match wanted.output.json {
        true => print_json(&report)?,
        false if has_colours => print(&view::coloured(&view::text(&report, wanted.verbose)))?,
        false => print(&view::text(&report, wanted.verbose))?,
    }
    match report.faults() {
        0 => Ok(()),
        count => {
            Err(CliError::Refused(format!("{count} of the rehearsal's checks failed; mend them and rehearse again")))
        }
    }
}

/// The configuration that is named or found, or else the one that is in the program.
fn choose(named: Option<PathBuf>) -> Result<Chosen> {
    let source = match ConfigSource::named(named)? {
        Some(source) => Some(source),
        None => ConfigSource::of_rehearsal()?,
    };
    match source {
        Some(source) => {
            let described = match &source {
                ConfigSource::File(path) => path.display().to_string(),
                other => other.described(),
            };
            Ok(Chosen { config: source.load()?, described, may_run: true })
        }
        None => {
            let config = Config::parse(Path::new("the default configuration"), SHIPPED)?;
            Ok(Chosen { config, described: "the default configuration".into(), may_run: false })
        }
    }
}

/// Whether this machine can talk to itself: in a new network namespace it cannot at first.
fn has_loopback() -> Result<()> {
    match UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.connect(socket.local_addr()?)) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable) => {
            let problem = "the loopback interface is down, so this machine cannot talk to itself; type `ip link set lo up` \
                           as root, and rehearse again";
            Err(CliError::Refused(problem.into()))
        }
        Err(error) => Err(CliError::Refused(format!("this machine cannot talk to itself over 127.0.0.1: {error}"))),
    }
}

fn perform(wanted: &Rehearse, chosen: &Chosen, runtime: &Runtime, signals: Signals, served: &Served) -> Result<Report> {
    let config = &chosen.config;
    let plan = Plan::of(config, &wanted.names, &served.listeners)?;
    let (ds, unsigned) = signing::ds_records(config);
    let mut findings = plan.findings(&served.listeners);
    findings.splice(0..0, served.findings.iter().cloned().chain(unsigned));
    if vantage::direct_sources(&config.dns.proxies).is_none() {
        let note = "TCP is not rehearsed: `trusted-proxies` contains the loopback, from which each connection must begin with \
                    a PROXY header";
        findings.push(Finding::note(note.into()));
    }
    let mut rehearsal = Rehearsal { runtime, signals, config, served, plan: &plan, ds };
    let targets = rehearsal.run()?;
    let existing = |domain: &Name| served.is_running.then(|| existing(&served.operator, domain)).flatten();
    let records = records::groups(&plan, &rehearsal.ds, existing);
    let zones = plan.zones.iter().map(|zone| zone_report(zone, &rehearsal.ds)).collect();
    let mut report = Report {
        sound: true,
        configuration: chosen.described.clone(),
        daemon: daemon_report(served),
        findings,
        zones,
        targets,
        records,
        milliseconds: 0,
    };
    report.sound = report.faults() == 0;
    Ok(report)
}

fn daemon_report(served: &Served) -> DaemonReport {
    let api = served.api.as_ref().map_or_else(|| "no address".to_owned(), |api| api.endpoint.to_string());
    let dns = served.listeners.iter().map(|listener: &DnsListener| listener.socket.to_string()).collect();
    DaemonReport { running: served.is_running, dns, api }
}

fn with_addresses(server: &plan::PlannedNameserver) -> String {
    let addresses: Vec<String> = server.addresses.iter().map(ToString::to_string).collect();
    if addresses.is_empty() { server.name.to_string() } else { format!("{} ({})", server.name, addresses.join(", ")) }
}

fn zone_report(zone: &plan::PlannedZone, ds: &[ZoneDs]) -> ZoneReport {
    ZoneReport {
        name: zone.name.to_string(),
        nameservers: zone.nameservers.iter().map(with_addresses).collect(),
        signed: ds.iter().any(|ds| ds.zone == zone.name),
    }
}

impl Rehearsal<'_> {
    /// Makes the accounts, publishes and validates; the accounts are removed at the end, whatever that is.
    fn run(&mut self) -> Result<Vec<TargetReport>> {
        let served = self.served;
        let mut staged = Vec::new();
        for target in &self.plan.targets {
            staged.push(stage(target, served)?);
        }
        let work = async {
            let aliases: Vec<TargetAlias<'_>> =
                staged.iter().map(|staged| (staged.target, staged.fulldomain.clone())).collect();
            let internet = Internet::start(self.plan, &served.listeners, &aliases, &self.ds).await?;
            let client = DnsClient::new(&[]);
            let mut reports = Vec::new();
            for staged in &staged {
                reports.push(validate(staged, served, self.config, &client, &internet).await);
            }
            Ok(reports)
        };
        let mut reports = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.signals.next() => Err(CliError::Refused("the rehearsal was ended early".into())),
                done = work => done,
            }
        })?;
        // The log of a daemon of another configuration may be off; that of the rehearsal's own is on.
        if self.config.query_log.enabled || !served.is_running {
            staged.iter().zip(&mut reports).for_each(|(staged, report)| look_into_log(staged, served, report));
        }
        Ok(reports)
    }
}

/// Makes the account of a target. A challenge zone that has an account already is looked up as it is.
fn stage<'a>(target: &'a Target, served: &'a Served) -> Result<Staged<'a>> {
    let account = TemporaryAccount::create(&served.operator, &target.zone);
    let fulldomain = match &account {
        Ok(account) => account.fulldomain()?,
        Err(_) => target.zone.apex().clone(),
    };
    let mut values = Vec::new();
    if account.is_ok() {
        let identifiers = match target.way {
            Way::Direct => ["a domain".to_owned(), "its wildcard".to_owned()],
            Way::Alias | Way::Delegation => [target.domain.to_string(), format!("*.{}", target.domain)],
        };
        for identifier in identifiers {
            values.push((identifier, random_value()?));
        }
    }
    Ok(Staged { target, account: account.map_err(|error| error.to_string()), fulldomain, values })
}

async fn validate(
    staged: &Staged<'_>,
    served: &Served,
    config: &Config,
    client: &DnsClient,
    internet: &Internet,
) -> TargetReport {
    let target = staged.target;
    let challenge = target.challenge(&staged.fulldomain);
    let mut published = Vec::new();
    for (identifier, txt) in &staged.values {
        let problem = publish(staged, served, txt).await.err();
        published.push(Published { identifier: identifier.clone(), txt: txt.as_str().to_owned(), problem });
    }
    if let Err(problem) = &staged.account
        && target.way != Way::Delegation
    {
        let identifier = target.domain.to_string();
        published.push(Published { identifier, txt: String::new(), problem: Some(problem.clone()) });
    }
    let values = published_values(staged, &published);
    let vantages = vantage::walks(client, internet, &challenge, &values).await;
    let tcp = vantage::over_tcp(client, &served.listeners, &config.dns.proxies, &staged.fulldomain, &values).await;
    TargetReport {
        domain: (target.way != Way::Direct).then(|| target.domain.to_string()),
        challenge: challenge.to_string(),
        fulldomain: staged.fulldomain.to_string(),
        published,
        vantages,
        tcp,
        query_log: None,
    }
}

/// Adds what the daemon's query log has of a target, while its account is there.
fn look_into_log(staged: &Staged<'_>, served: &Served, report: &mut TargetReport) {
    let Ok(account) = &staged.account else { return };
    let values = published_values(staged, &report.published);
    let sound = report.vantages.iter().filter(|vantage| vantage.problem.is_none()).count() as u64;
    if !values.is_empty() && sound > 0 {
        let AccountCredentials { username, subdomain, .. } = &account.credentials;
        report.query_log = query_log::seen(&served.operator, subdomain, &values, sound);
        // A daemon in this process takes what this process asks for its own questions, which prove nothing.
        if let Some(log) = report.query_log.as_mut().filter(|_| served.is_running) {
            log.verdicts = query_log::verdicts(&served.operator, *username);
        }
    }
}

/// The values that the API has taken.
fn published_values(staged: &Staged<'_>, published: &[Published]) -> Vec<TxtValue> {
    let is_published = |txt: &TxtValue| published.iter().any(|one| one.problem.is_none() && one.txt == txt.as_str());
    staged.values.iter().map(|(_, txt)| *txt).filter(is_published).collect()
}

async fn publish(staged: &Staged<'_>, served: &Served, txt: &TxtValue) -> std::result::Result<(), String> {
    let account = staged.account.as_ref().map_err(Clone::clone)?;
    match &served.api {
        Some(api) => api.publish(&account.credentials, txt).await,
        None => Err("the API listens nowhere; add an address to `api.listen`".into()),
    }
}

/// What ends a command before its time.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
