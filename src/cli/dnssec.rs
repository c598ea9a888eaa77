//! `dnssec`: creates the key of a zone, and takes the zone from unsigned to signed, to another key and back.
//!
//! Each procedure is one command, which is run again for each step. The command says what it has done, what has to be done
//! elsewhere, and when the next step is safe. It refuses a step that is not safe.

mod procedure;
mod servers;
mod signed_zone;
mod status;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::clock::TrustedClock;
use crate::config::Config;
use crate::config::keyfile::{KeyFile, KeyFileError};
use crate::model::name::ZoneName;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;

use super::error::{CliError, Result};
use super::numbers::whole_number;
use super::operator::Operator;
use super::output::print;
use super::target::Target;
use procedure::{Precondition, Procedure, precondition};
use servers::ask_ds;
use signed_zone::{SignedZone, now};
use status::{StatusArgs, records, report};

/// The TTL of the parent's DS if nobody says it: most parents have this one.
const USUAL_DS_TTL: u32 = 86_400;

/// `dnssec ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a zone's key; run it again to offer the key to the parent
    Init(InitArgs),
    /// Show the state of one zone or of all, and the next step
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

/// `dnssec init ZONE`
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    step: StepArgs,
    /// 13 (ECDSA P-256) or 15 (Ed25519)
    #[arg(long, default_value = "13")]
    algorithm: Algorithm,
}

/// A step of any procedure.
#[derive(Debug, Args)]
pub struct StepArgs {
    #[command(flatten)]
    zone: ZoneArgs,
    /// The server of the parent zone to ask for the DS: an address, with a port unless it is 53
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    parent: Option<SocketAddr>,
    /// How long caches may keep the parent's former DS, in seconds [default: as the parent says, or a day]
    #[arg(long, value_name = "SECONDS", value_parser = whole_number)]
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
pub fn run(command: Command, target: &Target) -> Result<()> {
    match command {
        Command::TrustClock => trust_clock(target),
        command => of_files(command, target.config("dnssec")?),
    }
}

/// What works on the key files beside the daemon.
fn of_files(command: Command, config: &Config) -> Result<()> {
    match command {
        Command::Init(init) => init_zone(&init, config),
        Command::Status(wanted) => status::status(&wanted, config),
        Command::Ds(zone) => ds(&SignedZone::find(config, &zone.zone)?),
        Command::Rollover(step) => take_step(Procedure::Rollover, &step, &SignedZone::find(config, &step.zone.zone)?),
        Command::Remove(step) => take_step(Procedure::Remove, &step, &SignedZone::find(config, &step.zone.zone)?),
        Command::TrustClock => Ok(()),
    }
}

fn trust_clock(target: &Target) -> Result<()> {
    let TrustedClock { clock, was_behind_seconds } = Operator::connect(target)?.ask(Method::POST, "/clock/trust")?;
    print(&match was_behind_seconds {
        None => {
            format!("the machine's clock says {clock}, which is not behind the last change: it is believed already")
        }
        Some(seconds) => format!("the machine's clock is believed: {clock}, {seconds} s before the last change"),
    })
}

fn init_zone(init: &InitArgs, config: &Config) -> Result<()> {
    let place = SignedZone::find(config, &init.step.zone.zone)?;
    match KeyFile::read(&place.dnssec.key, &place.settings.name) {
        Ok(_) => take_step(Procedure::Init, &init.step, &place),
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
    place.record_when_served(&mut file)?;
    print(&format!("{made}\n{}", report(&file, place)))
}

fn take_step(procedure: Procedure, step: &StepArgs, place: &SignedZone<'_>) -> Result<()> {
    let mut file = place.read()?;
    let next = procedure.next(file.phase).map_err(refused)?;
    place.record_if_served(&mut file)?;
    let precondition = precondition(&file, next, place.settings, place.dnssec);
    let parent = check(&precondition, step, &file)?;
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
    place.record_when_served(&mut file)?;
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
fn check(precondition: &Precondition, step: &StepArgs, file: &KeyFile) -> Result<Option<u32>> {
    if step.force {
        return Ok(None);
    }
    let apex = file.zone.apex();
    match precondition {
        Precondition::Nothing => Ok(None),
        Precondition::Served => not_yet("the daemon does not serve the last step; start or reload it"),
        Precondition::Until { at, .. } if *at <= now() => Ok(None),
        Precondition::Until { at, why } => not_yet(format!("{why}; wait until {at}")),
        Precondition::ParentHasLast | Precondition::ParentHasNone => {
            let Some(server) = step.parent else {
                return not_yet("name a server of the parent with --parent, so that its DS can be looked at");
            };
            let ds = ask_ds(server, apex).map_err(refused)?;
            let is_there = match (precondition, file.keys.last()) {
                (Precondition::ParentHasLast, Some(key)) => ds.is_of(key, apex),
                _ => ds.is_empty(),
            };
            if is_there { Ok(ds.ttl()) } else { not_yet(format!("{server} still has another DS set")) }
        }
    }
}

fn not_yet<T>(why: impl Display) -> Result<T> {
    Err(refused(format!("not yet: {why} (--force takes the step anyway)")))
}

fn ds(place: &SignedZone<'_>) -> Result<()> {
    let file = place.read()?;
    let records = records(&file);
    if file.phase == Phase::Fresh {
        return print(&format!("{records}; not yet: see `txtgate dnssec status {}`", file.zone));
    }
    print(records.trim_end())
}

fn refused(why: String) -> CliError {
    CliError::Refused(why)
}
