//! `config check`: finds what `serve` would stumble over, and prints what it would do.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Subcommand;

use crate::config::source::ConfigSource;
use crate::config::{Certificate, Config, Registration, ZoneSettings};
use crate::daemon::check::{Findings, check};
use crate::model::identifier::Identifier;

use super::error::Result;
use super::output::{print, tell};

/// `config ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration, and print what `serve` would do
    Check,
}

/// Runs a command. `named` is the configuration of the command line.
pub fn run(command: &Command, named: Option<PathBuf>) -> Result<()> {
    let Command::Check = command;
    let source = match ConfigSource::named(named)? {
        Some(source) => source,
        None => ConfigSource::of_check()?,
    };
    let (config, places) = source.load_with_places()?;
    let Findings { problems, notes } = check(&config);
    notes.iter().chain(&config.notes).for_each(|note| tell(&format!("note: {note}")));
    if !problems.is_empty() {
        return Err(places.wrong(problems).into());
    }
    print(&describe(&config, &source.described()))
}

fn describe(config: &Config, source: &str) -> String {
    let mut out = format!("{source} is right. txtgate would\n");
    let mut say = |line: String| _ = writeln!(out, "  - {line}");
    say(format!("keep accounts and values in {}", config.database.display()));
    for address in &config.dns.listen {
        say(format!("answer DNS on {address}, UDP ({} threads) and TCP", config.dns.threads));
    }
    for address in &config.dns.tls_listen {
        say(format!("answer DNS over TLS on {address}"));
    }
    for address in &config.dns.quic_listen {
        say(format!("answer DNS over QUIC on {address}"));
    }
    let scheme = if config.api.tls.is_some() { "https" } else { "http" };
    for address in &config.api.listen {
        say(format!("serve the API on {scheme}://{address}; {}", registration(&config.api.registration)));
    }
    if let Some(Certificate::Own(own)) = &config.api.tls {
        say(own_certificate(config, &own.names));
    }
    for address in &config.metrics {
        say(format!("serve /metrics and /ready on http://{address}"));
    }
    say(format!("take the operator's commands at {}", config.admin_socket.display()));
    config.zones.iter().for_each(|settings| say(zone(settings)));
    let values = &config.values;
    say(format!(
        "keep up to {} values a name, each for {} s, the two newest for {} s",
        values.max,
        values.lifetime.as_secs(),
        values.newest_lifetime.as_secs()
    ));
    if values.persist {
        say("publish persistent authorizations, which stand until they are retired".into());
    }
    out.trim_end().to_owned()
}

fn own_certificate(config: &Config, names: &[Identifier]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let terms = if config.acme.terms_agreed {
        ""
    } else {
        ", once its terms are agreed to (`txtgate acme directory` prints where they are)"
    };
    format!("get a certificate for {} from {}{terms}", names.join(", "), config.acme.directory)
}

fn registration(registration: &Registration) -> String {
    match registration {
        Registration::Open => "anybody who reaches it may register".into(),
        Registration::Secret(secrets) => {
            format!("registering takes one of {} secrets, or an enrolment token", secrets.len())
        }
        Registration::Closed => "only the operator registers, and who has an enrolment token".into(),
    }
}

fn zone(settings: &ZoneSettings) -> String {
    let nameservers: Vec<String> = settings.nameservers.iter().map(ToString::to_string).collect();
    let signed = match &settings.dnssec {
        Some(dnssec) => format!("signed with {}", dnssec.key.display()),
        None => "not signed".into(),
    };
    let whose = if settings.name.is_challenge() { ", a challenge zone that belongs to one account," } else { "" };
    format!(
        "answer for {}{whose} (NS {}; {} static names; TXT TTL {} s, negative TTL {} s; {signed})",
        settings.name,
        nameservers.join(", "),
        settings.statics.names().count(),
        settings.txt_ttl,
        settings.soa.negative_ttl
    )
}
