//! `dnssec status`: the state of zones, what the parent should have, and the next step.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::Serialize;

use crate::api::types::list::List;
use crate::cli::error::Result;
use crate::cli::output::{Output, print, print_json};
use crate::config::keyfile::KeyFile;
use crate::config::{Config, ZoneSettings};
use crate::model::name::ZoneName;
use crate::model::name::idn::both_ways;
use crate::model::time::relative::with_relative;
use crate::zone::signing::phase::{CdsRequest, Phase};

use super::procedure::{Precondition, Procedure, precondition};
use super::servers::is_served;
use super::signed_zone::{SignedZone, now, settings_of};

/// `dnssec status [ZONE]`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The zone [default: all zones]
    zone: Option<ZoneName>,
    #[command(flatten)]
    output: Output,
}

/// Prints the state of one zone, or of all.
pub fn status(wanted: &StatusArgs, config: &Config) -> Result<()> {
    if let Some(zone) = &wanted.zone {
        let state = ZoneState::read(config, settings_of(config, zone)?)?;
        return if wanted.output.json { print_json(&state.for_scripts()) } else { print(&state.for_people()) };
    }
    let states: Vec<ZoneState<'_>> =
        config.zones.iter().map(|settings| ZoneState::read(config, settings)).collect::<Result<_>>()?;
    if wanted.output.json {
        return print_json(&List::whole(states.iter().map(ZoneState::for_scripts).collect()));
    }
    let texts: Vec<String> = states.iter().map(ZoneState::for_people).collect();
    print(&texts.join("\n\n"))
}

/// A zone with its key file, or without one.
enum ZoneState<'c> {
    Unsigned(&'c ZoneSettings),
    Signed(KeyFile, SignedZone<'c>),
}

impl<'c> ZoneState<'c> {
    fn read(config: &'c Config, settings: &'c ZoneSettings) -> Result<Self> {
        let Some(dnssec) = &settings.dnssec else { return Ok(Self::Unsigned(settings)) };
        let place = SignedZone { config, settings, dnssec };
        let mut file = place.read()?;
        place.record_if_served(&mut file)?;
        Ok(Self::Signed(file, place))
    }

    fn for_people(&self) -> String {
        match self {
            Self::Unsigned(settings) => {
                format!("{}: unsigned\n{}", both_ways(&settings.name.to_string()), how_to_sign(&settings.name))
            }
            Self::Signed(file, place) => report(file, place),
        }
    }

    fn for_scripts(&self) -> DnssecStatus {
        match self {
            Self::Unsigned(settings) => DnssecStatus {
                zone: settings.name.clone(),
                phase: Phase::Unsigned,
                meaning: Phase::Unsigned.meaning(),
                keys: Vec::new(),
                served: true,
                since: None,
                ds: None,
                next: how_to_sign(&settings.name),
            },
            Self::Signed(file, place) => dnssec_status(file, place),
        }
    }
}

fn how_to_sign(zone: &ZoneName) -> String {
    format!("next: `txtgate dnssec init {zone}` begins to sign it")
}

/// The state of the zone, what the parent should have, and the next step.
pub fn report(file: &KeyFile, place: &SignedZone<'_>) -> String {
    let mut out = format!("{}: {}\n", both_ways(&file.zone.to_string()), file.phase.meaning());
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
        _ = writeln!(out, "  known to be so since {}", with_relative(&seen.to_string()));
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
    let Some(procedure) = Procedure::of(file.phase) else {
        return match file.phase {
            Phase::Unsigned => "next: take `dnssec-key` out of the configuration, reload, delete the key file".into(),
            _ => format!("nothing has to follow; `txtgate dnssec rollover {zone}` begins to replace the key"),
        };
    };
    let Ok(next) = procedure.next(file.phase) else { return String::new() };
    let command = format!("txtgate dnssec {} {zone}", procedure.as_str());
    match precondition(file, next, place.settings, place.dnssec) {
        Precondition::Nothing => format!("next: `{command}`"),
        Precondition::Served => format!("next: `{command}`, some time after the daemon serves this step"),
        Precondition::Until { at, .. } if at <= now() => format!("next: `{command}`, now"),
        Precondition::Until { at, why } => format!("next: `{command}`, not before {at}: {why}"),
        Precondition::ParentHasLast | Precondition::ParentHasNone => {
            format!("next: `{command} --parent ADDRESS`, once every server of the parent has changed")
        }
    }
}

/// The DS that the parent should have, and the key of that DS, as lines of a zone file.
pub fn records(file: &KeyFile) -> String {
    let key = match file.phase.cds() {
        CdsRequest::Last => file.keys.last(),
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
