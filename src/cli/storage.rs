//! `backup` and `restore`.

mod restored;

use std::path::PathBuf;

use clap::Args;

use crate::config::Config;
use crate::model::serial::Serial;
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
    /// A serial that secondaries have, for a database that is lost: zones go on with greater ones
    #[arg(long, value_name = "SERIAL")]
    after_serial: Option<u32>,
}

/// Copies the database.
pub fn backup(wanted: &Backup, config: &Config) -> Result<()> {
    let counts = backup::backup(&config.database, &wanted.file)?;
    print(&format!("{}: {} accounts and {} values, verified", wanted.file.display(), counts.accounts, counts.values))
}

/// Puts a copy in the database's place, and says what the copy lacks.
pub fn restore(wanted: &Restore, config: &Config) -> Result<()> {
    let former = backup::restore(&wanted.file, &config.database, wanted.after_serial.map(Serial))?;
    print(restored::report(&config.database, former.as_ref()).trim_end())
}
