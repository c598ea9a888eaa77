//! The command line: its syntax, and one file for each command.

mod account;
mod acme;
mod cert;
mod config;
mod details;
mod dnssec;
mod enrol;
mod error;
mod export;
mod generate;
mod hook;
mod import;
mod named;
mod networks;
mod operator;
mod output;
mod persist;
mod serve;
mod settings;
mod status;
mod storage;
mod table;
mod txt;
mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Config;
use crate::model::secret::SecretHash;

pub use error::CliError;
pub use output::tell;

use error::Result;
use output::{Output, print};

/// A DNS-01 challenge daemon: publish ACME challenges over an acme-dns API, answer them over DNS.
#[derive(Debug, Parser)]
#[command(name = "txtgate", version, max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: ./config.toml, then /etc/txtgate/config.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Create, show and change accounts
    #[command(subcommand)]
    Account(account::Command),
    /// Create, list and revoke tokens that let others register
    #[command(subcommand)]
    Enrol(enrol::Command),
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
    /// Show what the running daemon serves
    Status(Output),
    /// Show the DNS queries for one name as they arrive; end with Ctrl-C
    Watch(watch::WatchArgs),
    /// Copy the database to a new file, verified, while the daemon runs
    Backup(storage::Backup),
    /// Replace the database by a backup; the daemon must be stopped
    Restore(storage::Restore),
    /// Answer a challenge for an ACME client: certbot, dehydrated, uacme, lego, acmetool, mod_md
    Hook(hook::Hook),
    /// Move in from acme-dns
    #[command(subcommand)]
    Import(import::Command),
    /// Write the accounts in the form of another program
    Export(export::Export),
    /// Create a registration secret, and its hash for the configuration
    Secret,
    /// Print a completion script for a shell
    Completions(generate::Completions),
    /// Print the manual page
    Man,
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
    let config = || Config::read(&named.clone().unwrap_or_else(Config::default_path));
    match cli.command {
        Command::Serve => serve::serve(config()?),
        Command::Config(command) => config::run(&command, &config()?),
        Command::Account(command) => account::run(command, &config()?),
        Command::Enrol(command) => enrol::run(command, &config()?),
        Command::Txt(command) => txt::run(command, &config()?),
        Command::Acme(command) => acme::run(command, &config()?),
        Command::Cert(command) => cert::run(command, &config()?),
        Command::Persist(command) => persist::run(command, &config()?),
        Command::Dnssec(command) => dnssec::run(command, &config()?),
        Command::Status(output) => status::status(output, &config()?),
        Command::Watch(watch) => watch::watch(&watch, &config()?),
        Command::Backup(backup) => storage::backup(&backup, &config()?),
        Command::Restore(restore) => storage::restore(&restore, &config()?),
        Command::Hook(wanted) => Ok(hook::hook(wanted, named.as_deref())?),
        Command::Import(command) => import::run(&command, named),
        Command::Export(wanted) => export::export(&wanted, &config()?),
        Command::Secret => secret(),
        Command::Completions(completions) => generate::completions(&completions, Cli::command()),
        Command::Man => generate::man(Cli::command()),
    }
}

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
