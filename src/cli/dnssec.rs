//! `dnssec`: creates the key of a zone, and takes the zone from unsigned to signed, to another key and back.
//!
//! Each way is one command, which is run again for each step. The command says what it has done, what has to be done
//! elsewhere, and when the next step is safe. It refuses a step that is not safe.

mod servers;
mod walk;

use std::fmt::{Display, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::api::types::clock::TrustedClock;
use crate::config::keyfile::{KeyFile, KeyFileError};
use crate::config::{Config, Dnssec, ZoneSettings};
use crate::model::name::ZoneName;
use crate::model::time::{Clock, Timestamp};
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::{Offer, Phase};

use super::error::{CliError, Result};
use super::operator::Operator;
use super::output::{Output, print, print_json};
use servers::{ask_ds, is_served, wait_until_served};
use walk::{Need, Way, need};

/// The TTL of the parent's DS if nobody says it: most parents have this one.
const USUAL_DS_TTL: u32 = 86_400;

/// `dnssec ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a zone's key; run it again to offer the key to the parent
    Init(InitArgs),
    /// Show the state of a zone, and the next step
    Status(StatusArgs),
    /// Print the DS record for the parent
    Ds(ZoneArgs),
    /// Replace a zone's key; each run takes one step
    Rollover(StepArgs),
    /// Make a zone unsigned again; each run takes one step
    Remove(StepArgs),
    /// Trust the machine's clock although it is behind the last change: it is right now, and was ahead before
    TrustClock,
}

/// Which zone.
#[derive(Debug, Args)]
pub struct ZoneArgs {
    /// The zone
    zone: ZoneName,
}

/// `dnssec status ZONE`
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    #[command(flatten)]
    output: Output,
}

/// `dnssec init ZONE`
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    step: StepArgs,
    /// 13 (ECDSA P-256) or 15 (Ed25519)
    #[arg(long, default_value = "13")]
    algorithm: Algorithm,
}

/// A step of any way.
#[derive(Debug, Args)]
pub struct StepArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    /// The server of the parent zone to ask for the DS: an address, with a port unless it is 53
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    parent: Option<SocketAddr>,
    /// How long caches may keep the parent's former DS, in seconds [default: as the parent says, or a day]
    #[arg(long, value_name = "SECONDS")]
    ds_ttl: Option<u32>,
    /// Take the step even if it is not safe: resolvers may fail until their caches expire
    #[arg(long)]
    force: bool,
}

fn server(text: &str) -> std::result::Result<SocketAddr, String> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    address.map_err(|_| "write an address like 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53".into())
}

/// Runs a command.
pub fn run(command: Command, config: &Config) -> Result<()> {
    match command {
        Command::Init(init) => init_zone(&init, config),
        Command::Status(wanted) => status(wanted.output, &SignedZone::find(config, &wanted.zone)?),
        Command::Ds(zone) => ds(&SignedZone::find(config, &zone)?),
        Command::Rollover(step) => take_step(Way::Rollover, &step, &SignedZone::find(config, &step.zone)?),
        Command::Remove(step) => take_step(Way::Remove, &step, &SignedZone::find(config, &step.zone)?),
        Command::TrustClock => trust_clock(config),
    }
}

fn trust_clock(config: &Config) -> Result<()> {
    let TrustedClock { clock, was_behind_seconds } = Operator::connect(config)?.ask(Method::POST, "/clock/trust")?;
    print(&match was_behind_seconds {
        None => {
            format!("the machine's clock says {clock}, which is not behind the last change: it is believed already")
        }
        Some(seconds) => format!("the machine's clock is believed: {clock}, {seconds} s before the last change"),
    })
}

/// A zone of the configuration, with its settings for signing.
struct SignedZone<'c> {
    config: &'c Config,
    settings: &'c ZoneSettings,
    dnssec: &'c Dnssec,
}

impl<'c> SignedZone<'c> {
    fn find(config: &'c Config, ZoneArgs { zone }: &ZoneArgs) -> Result<Self> {
        let found = config.zones.iter().find(|settings| settings.name == *zone);
        let settings = found.ok_or_else(|| CliError::Usage(format!("the configuration has no zone {zone}")))?;
        let dnssec = settings.dnssec.as_ref().ok_or_else(|| {
            // Beside the database, in the daemon's own folder.
            let key = config.database.with_file_name(format!("{zone}.key"));
            CliError::Usage(format!(
                "say first where the key will be: add `dnssec-key = \"{}\"` to the zone {zone}",
                key.display()
            ))
        })?;
        Ok(Self { config, settings, dnssec })
    }

    fn read(&self) -> Result<KeyFile> {
        Ok(KeyFile::read(&self.dnssec.key, &self.settings.name)?)
    }
}

fn init_zone(init: &InitArgs, config: &Config) -> Result<()> {
    let place = SignedZone::find(config, &init.step.zone)?;
    match KeyFile::read(&place.dnssec.key, &place.settings.name) {
        Ok(_) => take_step(Way::Init, &init.step, &place),
        Err(KeyFileError::Missing { .. }) => create(init, &place),
        Err(error) => Err(error.into()),
    }
}

fn create(init: &InitArgs, place: &SignedZone<'_>) -> Result<()> {
    let zone = &place.settings.name;
    if let Some(parent) = init.step.parent.filter(|_| !init.step.force)
        && !ask_ds(parent, zone.apex()).map_err(refused)?.is_empty()
    {
        return Err(refused(format!(
            "the parent has a DS of {zone} already, so another key would make it fail everywhere; put the lost key \
             back, or have the DS removed first"
        )));
    }
    let key = Arc::new(ZoneKey::generate(init.algorithm).map_err(|error| refused(error.to_string()))?);
    let mut file = KeyFile {
        path: place.dnssec.key.clone(),
        zone: zone.clone(),
        phase: Phase::Fresh,
        seen: None,
        doubled: None,
        ds_ttl: None,
        keys: vec![key],
    };
    file.create()?;
    let made = format!("made the key {} in {}; keep a copy of that file", file.keys[0].tag(), file.path.display());
    settle(&mut file, place)?;
    print(&format!("{made}\n{}", report(&file, place)))
}

fn take_step(way: Way, step: &StepArgs, place: &SignedZone<'_>) -> Result<()> {
    let mut file = place.read()?;
    let next = way.next(file.phase).map_err(refused)?;
    note_if_served(&mut file, place)?;
    let need = need(&file, next, place.settings, place.dnssec);
    let parent = check(&need, step, &file)?;
    match next {
        Phase::Doubled => file.keys.push(Arc::new(successor(&file.keys[0])?)),
        Phase::Offered if file.keys.len() > 1 => _ = file.keys.remove(0),
        _ => {}
    }
    let is_by_parent = matches!(next, Phase::Switched | Phase::Withdrawn);
    file.seen = is_by_parent.then(now);
    file.ds_ttl = is_by_parent.then(|| step.ds_ttl.or(parent).unwrap_or(USUAL_DS_TTL));
    if next == Phase::Offered {
        file.doubled = None;
    }
    file.phase = next;
    file.save()?;
    settle(&mut file, place)?;
    print(&report(&file, place))
}

/// A new key with the same algorithm and another tag: validators find keys by their tags.
fn successor(key: &ZoneKey) -> Result<ZoneKey> {
    loop {
        let next = ZoneKey::generate(key.algorithm()).map_err(|error| refused(error.to_string()))?;
        if next.tag() != key.tag() {
            return Ok(next);
        }
    }
}

/// Checks that the step is safe now. Returns the TTL of the parent's DS if the parent was asked.
fn check(need: &Need, step: &StepArgs, file: &KeyFile) -> Result<Option<u32>> {
    if step.force {
        return Ok(None);
    }
    let apex = file.zone.apex();
    match need {
        Need::Nothing => Ok(None),
        Need::Served => not_yet("the daemon does not serve the last step; start or reload it"),
        Need::Until { at, .. } if *at <= now() => Ok(None),
        Need::Until { at, why } => not_yet(format!("{why}; wait until {at}")),
        Need::ParentHasLast | Need::ParentHasNone => {
            let Some(server) = step.parent else {
                return not_yet("name a server of the parent with --parent, so that its DS can be looked at");
            };
            let ds = ask_ds(server, apex).map_err(refused)?;
            let is_there = match (need, file.keys.last()) {
                (Need::ParentHasLast, Some(key)) => ds.is_of(key, apex),
                _ => ds.is_empty(),
            };
            if is_there { Ok(ds.ttl()) } else { not_yet(format!("{server} still has another DS set")) }
        }
    }
}

fn not_yet<T>(why: impl Display) -> Result<T> {
    Err(refused(format!("not yet: {why} (--force takes the step anyway)")))
}

/// Records when the daemon began to serve a step: the wait for the next step counts from there.
fn settle(file: &mut KeyFile, place: &SignedZone<'_>) -> Result<()> {
    if wait_until_served(place.config, file, place.dnssec).is_ok() { note(file) } else { Ok(()) }
}

fn note_if_served(file: &mut KeyFile, place: &SignedZone<'_>) -> Result<()> {
    if is_served(place.config, file, place.dnssec).is_ok() { note(file) } else { Ok(()) }
}

fn note(file: &mut KeyFile) -> Result<()> {
    if file.seen.is_some() {
        return Ok(());
    }
    file.seen = Some(now());
    if file.phase.keys() > 1 && file.doubled.is_none() {
        file.doubled = file.seen;
    }
    Ok(file.save()?)
}

fn status(output: Output, place: &SignedZone<'_>) -> Result<()> {
    let mut file = place.read()?;
    note_if_served(&mut file, place)?;
    if output.json {
        return print_json(&dnssec_status(&file, place));
    }
    print(&report(&file, place))
}

fn ds(place: &SignedZone<'_>) -> Result<()> {
    let file = place.read()?;
    let records = records(&file);
    if file.phase == Phase::Fresh {
        return print(&format!("{records}; not yet: see `txtgate dnssec status {}`", file.zone));
    }
    print(records.trim_end())
}

/// The state of the zone, what the parent should have, and the next step.
fn report(file: &KeyFile, place: &SignedZone<'_>) -> String {
    let mut out = format!("{}: {}\n", file.zone, file.phase.meaning());
    for key in &file.keys {
        _ = writeln!(out, "  key {}, algorithm {}", key.tag(), key.algorithm().number());
    }
    match is_served(place.config, file, place.dnssec) {
        Ok(()) => {}
        Err(why) => {
            _ = writeln!(out, "  the daemon does not serve this yet ({why}); start it, or reload it, and look again");
        }
    }
    if let Some(seen) = file.seen {
        _ = writeln!(out, "  known to be so since {seen}");
    }
    out += &at_the_parent(file);
    out += &what_next(file, place);
    out.trim_end().to_owned()
}

/// The state of a zone, for scripts.
#[derive(Debug, Serialize)]
struct DnssecStatus {
    zone: ZoneName,
    phase: Phase,
    meaning: &'static str,
    keys: Vec<DnssecKey>,
    served: bool,
    since: Option<String>,
    ds: Option<String>,
    next: String,
}

#[derive(Debug, Serialize)]
struct DnssecKey {
    tag: u16,
    algorithm: u8,
}

fn dnssec_status(file: &KeyFile, place: &SignedZone<'_>) -> DnssecStatus {
    let keys = file.keys.iter().map(|key| DnssecKey { tag: key.tag(), algorithm: key.algorithm().number() });
    DnssecStatus {
        zone: file.zone.clone(),
        phase: file.phase,
        meaning: file.phase.meaning(),
        keys: keys.collect(),
        served: is_served(place.config, file, place.dnssec).is_ok(),
        since: file.seen.map(|seen| seen.to_string()),
        ds: records(file).lines().next().map(str::to_owned),
        next: what_next(file, place),
    }
}

fn at_the_parent(file: &KeyFile) -> String {
    match file.phase {
        Phase::Fresh | Phase::Unsigned | Phase::Withdrawn => String::new(),
        Phase::Withdrawing => "at the parent: remove the DS; CDS asks for it as well\n".into(),
        _ => format!("at the parent, alone; CDS asks for it as well:\n{}", records(file)),
    }
}

fn what_next(file: &KeyFile, place: &SignedZone<'_>) -> String {
    let zone = &file.zone;
    let Some(way) = Way::of(file.phase) else {
        return match file.phase {
            Phase::Unsigned => "next: take `dnssec-key` out of the configuration, reload, delete the key file".into(),
            _ => format!("nothing has to follow; `txtgate dnssec rollover {zone}` begins to replace the key"),
        };
    };
    let Ok(next) = way.next(file.phase) else { return String::new() };
    let command = format!("txtgate dnssec {} {zone}", way.as_str());
    match need(file, next, place.settings, place.dnssec) {
        Need::Nothing => format!("next: `{command}`"),
        Need::Served => format!("next: `{command}`, some time after the daemon serves this step"),
        Need::Until { at, .. } if at <= now() => format!("next: `{command}`, now"),
        Need::Until { at, why } => format!("next: `{command}`, not before {at}: {why}"),
        Need::ParentHasLast | Need::ParentHasNone => {
            format!("next: `{command} --parent ADDRESS`, once every server of the parent has changed")
        }
    }
}

/// The DS that the parent should have, and the key of that DS, as lines of a zone file.
fn records(file: &KeyFile) -> String {
    let key = match file.phase.offer() {
        Offer::Last => file.keys.last(),
        _ => file.keys.first(),
    };
    let Some(key) = key else { return String::new() };
    let ds = key.ds(file.zone.apex());
    let digest: String = ds[4..].iter().map(|byte| format!("{byte:02X}")).collect();
    let zone = &file.zone;
    let tag = key.tag();
    let algorithm = key.algorithm().number();
    let public = STANDARD.encode(&key.dnskey()[4..]);
    format!("{zone}. IN DS {tag} {algorithm} 2 {digest}\n; made from {zone}. IN DNSKEY 257 3 {algorithm} {public}\n")
}

/// The wall clock: another process compares the recorded time with it days later.
fn now() -> Timestamp {
    Clock::start(None).now()
}

fn refused(why: String) -> CliError {
    CliError::Refused(why)
}
