//! `backup` and `restore`.

use std::path::PathBuf;

use clap::Args;

use crate::config::Config;
use crate::store::backup;

use super::error::Result;
use super::output::print;

/// `backup FILE`
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write; it must not exist yet
    file: PathBuf,
}

/// `restore FILE`
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `backup` made
    file: PathBuf,
}

/// Copies the database.
pub fn backup(wanted: &Backup, config: &Config) -> Result<()> {
    let counts = backup::backup(&config.database, &wanted.file)?;
    print(&format!("{}: {} accounts and {} values, verified", wanted.file.display(), counts.accounts, counts.values))
}

/// Puts a copy in the database's place.
pub fn restore(wanted: &Restore, config: &Config) -> Result<()> {
    let old = backup::restore(&wanted.file, &config.database)?;
    let kept = old.map(|old| format!("; the one before is {}", old.display())).unwrap_or_default();
    print(&format!("{} restored{kept}", config.database.display()))
}
