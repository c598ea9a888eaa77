//! `export`: writes the accounts in the form of another program.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::Config;
use crate::model::name::ZoneName;
use crate::store::export;

use super::error::{CliError, Result};
use super::output::print;
use super::target::Target;
use super::transfer;

/// `export --format FORMAT FILE`
#[derive(Debug, Args)]
pub struct Export {
    /// The program to write for
    #[arg(long, value_enum)]
    format: ExportFormat,
    /// For acme-dns: the zone, in place of the first one
    #[arg(long)]
    zone: Option<ZoneName>,
    /// For txtgate: only this account, by any of its names; may be repeated
    #[arg(long, value_name = "WHO")]
    account: Vec<String>,
    /// For txtgate: the secrets of TSIG keys too, so that they go on working on the other server
    #[arg(long)]
    with_tsig_secrets: bool,
    /// The file; it must not exist yet
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportFormat {
    /// A SQLite database of acme-dns 1.x and 2.x. Accounts whose keys have been used here stay behind
    AcmeDns,
    /// Another txtgate, which takes it over with `txtgate import txtgate`
    Txtgate,
}

/// Writes a file.
pub fn export(wanted: &Export, target: &Target) -> Result<()> {
    let problem = match wanted.format {
        ExportFormat::AcmeDns if !wanted.account.is_empty() => "--account is for --format txtgate",
        ExportFormat::AcmeDns if wanted.with_tsig_secrets => "--with-tsig-secrets is for --format txtgate",
        ExportFormat::AcmeDns => return for_acme_dns(wanted, target.config("export --format acme-dns")?),
        ExportFormat::Txtgate if wanted.zone.is_some() => {
            "--zone is for --format acme-dns; name accounts with --account"
        }
        ExportFormat::Txtgate => {
            return transfer::export(&wanted.file, &wanted.account, wanted.with_tsig_secrets, target);
        }
    };
    Err(CliError::Usage(problem.into()))
}

fn for_acme_dns(wanted: &Export, config: &Config) -> Result<()> {
    let zone = zone(wanted, config)?;
    let exported = export::acme_dns(&config.database, &zone, &wanted.file)?;
    let mut out = format!("{}: {} accounts of {zone}", wanted.file.display(), exported.accounts);
    if exported.argon2id > 0 {
        out += &format!(
            "\n{} accounts stay: their keys are kept as Argon2id hashes, which acme-dns cannot verify, since their first \
             use here; they have to be registered anew there",
            exported.argon2id
        );
    }
    for left in &exported.left {
        out += &format!("\n  - {left}");
    }
    print(&out)
}

fn zone(wanted: &Export, config: &Config) -> Result<ZoneName> {
    let mut zones = config.zones.iter().map(|settings| &settings.name).filter(|zone| !zone.is_challenge());
    let found = match &wanted.zone {
        None => zones.next().cloned(),
        Some(wanted) => zones.find(|zone| *zone == wanted).cloned(),
    };
    found.ok_or_else(|| {
        CliError::Usage(
            "the configuration has no such zone for subdomains; `txtgate config check` lists its zones".into(),
        )
    })
}
