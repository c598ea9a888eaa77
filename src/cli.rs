//! The command line: its syntax, and one file for each command.

mod account;
mod acme;
mod admin;
mod cert;
mod config;
mod console;
mod dnssec;
mod doctor;
mod enrol;
mod error;
mod export;
mod generate;
mod hook;
mod import;
mod man;
mod named;
mod networks;
mod notify;
mod numbers;
mod operator;
mod output;
mod persist;
mod queries;
mod rehearse;
mod remote;
mod serve;
mod served;
mod settings;
mod status;
mod storage;
mod table;
mod target;
mod transfer;
mod txt;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::source::ConfigSource;
use crate::model::secret::SecretHash;

pub use error::CliError;
pub use output::tell;

use error::Result;
use output::{Output, print};
use remote::RemoteArgs;
use target::Target;

/// A DNS-01 challenge daemon: publish ACME challenges over an acme-dns API, answer them over DNS.
#[derive(Debug, Parser)]
#[command(name = "txtgate", version, max_term_width = 100)]
pub struct Cli {
    /// The configuration file, `-` for standard input [env: TXTGATE_CONFIG; default: /etc/txtgate/config.toml; of serve: ./config.toml first]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Serve),
    /// Rehearse a validation on this machine alone, before anybody touches a registrar
    ///
    /// Builds the internet that the configuration claims on the loopback: the root, the zone above each zone of the daemon
    /// with the records to add, and the domains of users with their CNAMEs. An ACME client publishes over the HTTP API, and
    /// six vantage points of a CA walk from the root to the values, as strictly as any resolver. Asks the daemon that runs
    /// with the configuration, or one of its own with a temporary database. Needs neither a network nor root. Without
    /// /etc/txtgate/config.toml and ./config.toml, the configuration is the default one.
    Rehearse(rehearse::Rehearse),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Create, show and change accounts
    #[command(subcommand)]
    Account(account::Command),
    /// Create, list and revoke tokens that let others register
    #[command(subcommand)]
    Enrol(enrol::Command),
    /// Let the operator's commands work from other machines
    #[command(subcommand)]
    Admin(admin::Command),
    /// Sign in to the web console
    #[command(subcommand)]
    Console(console::Command),
    /// Publish, list and retire TXT values
    #[command(subcommand)]
    Txt(txt::Command),
    /// The certificate authority, and the daemon's account there
    #[command(subcommand)]
    Acme(acme::Command),
    /// Certificates that the daemon gets, keeps and renews for other programs
    #[command(subcommand)]
    Cert(cert::Command),
    /// Publish, list and retire persistent authorizations (dns-persist-01)
    #[command(subcommand)]
    Persist(persist::Command),
    /// Sign zones: create keys, replace them, remove them
    #[command(subcommand)]
    Dnssec(dnssec::Command),
    /// Notifications of what needs attention
    #[command(subcommand)]
    Notify(notify::Command),
    /// Show how the running daemon is: problems first, then what it serves
    Status(Output),
    /// Examine the set-up: the machine, the delegation, and the names of certificates
    Doctor(doctor::DoctorArgs),
    /// Show who has asked for an account's names, and what each got
    Queries(queries::QueriesArgs),
    /// Show the DNS messages about one name as they arrive; end with Ctrl-C
    Watch(watch::WatchArgs),
    /// Copy the database to a new file, verified, while the daemon runs
    Backup(storage::Backup),
    /// Replace the database by a backup; the daemon must be stopped
    Restore(storage::Restore),
    /// Answer a challenge for an ACME client: certbot, dehydrated, uacme, lego, acmetool, mod_md
    Hook(hook::Hook),
    /// Move in from acme-dns, or from another txtgate
    #[command(subcommand)]
    Import(import::Command),
    /// Write the accounts for another txtgate, or in the form of another program
    Export(export::Export),
    /// Create a registration secret, and its hash for the configuration
    Secret,
    /// Print a completion script for a shell
    Completions(generate::Completions),
    /// Print a page of the manual, or write all pages
    Man(man::ManArgs),
}

/// A program with this name is `txtgate hook`: some clients call a program by its path with arguments of their own, so
/// that the word `hook` has no place.
const HOOK: &str = "txtgate-hook";

/// Reads the command line. An error ends the process with a message.
pub fn parse() -> Cli {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
    if name.to_string_lossy().starts_with(HOOK) {
        words.insert(1, "hook".into());
    }
    Cli::parse_from(words)
}

/// Runs the command.
pub fn run(cli: Cli) -> Result<()> {
    let named = cli.config;
    let remote = match cli.remote.remote()? {
        Some(_) if named.is_some() => return Err(CliError::Usage(BOTH.into())),
        Some(remote) => Some(Target::Remote(Arc::new(remote))),
        None => None,
    };
    if let Some(remote) = &remote {
        refuse_of_this_machine(&cli.command, remote)?;
    }
    let target = || match (remote, ConfigSource::named(named.clone())?) {
        (Some(remote), _) => Ok::<_, CliError>(remote),
        (None, Some(source)) => Ok(Target::Local(Box::new(source.load()?))),
        (None, None) => Ok(Target::Local(Box::new(ConfigSource::of_commands()?.load()?))),
    };
    match cli.command {
        Command::Account(command) => account::run(command, &target()?),
        Command::Enrol(command) => enrol::run(command, &target()?),
        Command::Admin(command) => admin::run(command, &target()?),
        Command::Console(command) => console::run(command, &target()?),
        Command::Txt(command) => txt::run(command, &target()?),
        Command::Acme(command) => acme::run(command, &target()?),
        Command::Cert(command) => cert::run(command, &target()?),
        Command::Persist(command) => persist::run(command, &target()?),
        Command::Dnssec(command) => dnssec::run(command, &target()?),
        Command::Notify(command) => notify::run(command, &target()?),
        Command::Status(output) => status::status(output, &target()?),
        Command::Doctor(wanted) if wanted.is_list() => doctor::list(),
        Command::Doctor(wanted) => doctor::doctor(&wanted, &target()?),
        Command::Queries(wanted) => queries::queries(&wanted, &target()?),
        Command::Watch(watch) => watch::watch(&watch, &target()?),
        Command::Serve(wanted) => serve::serve(&wanted, named),
        Command::Rehearse(wanted) => rehearse::rehearse(&wanted, named),
        Command::Config(command) => config::run(&command, named),
        Command::Backup(backup) => storage::backup(&backup, &target()?.into_config("backup")?),
        Command::Restore(restore) => storage::restore(&restore, &target()?.into_config("restore")?),
        Command::Export(wanted) => export::export(&wanted, &target()?),
        Command::Import(import::Command::Txtgate(wanted)) => transfer::import(&wanted, &target()?),
        Command::Import(import::Command::AcmeDns(wanted)) => import::run(&wanted, named),
        Command::Hook(wanted) => Ok(hook::hook(wanted, named.as_deref())?),
        Command::Secret => secret(),
        Command::Completions(completions) => generate::completions(&completions, Cli::command()),
        Command::Man(wanted) => man::man(&wanted, Cli::command()),
    }
}

/// Refuses a command that concerns this machine alone, where a daemon elsewhere is named.
fn refuse_of_this_machine(command: &Command, remote: &Target) -> Result<()> {
    match command {
        Command::Serve(_) => _ = remote.config("serve")?,
        Command::Rehearse(_) => _ = remote.config("rehearse")?,
        Command::Config(_) => _ = remote.config("config check")?,
        _ => {}
    }
    Ok(())
}

const BOTH: &str = "--server asks a daemon elsewhere, and --config names one of this machine; write one of them";

fn secret() -> Result<()> {
    let (secret, hash) = SecretHash::random()?;
    print(&format!(
        "secret:  {secret}\n\
         hash:    {hash}\n\n\
         Put the hash into `registration-secrets`, and give the secret to those who may register:\n\
         as the password or the path in their server's URL (https://txtgate:{secret}@HOST or https://HOST/{secret}),\n\
         or as `Authorization: Bearer {secret}`. It is not stored and not shown again."
    ))
}
