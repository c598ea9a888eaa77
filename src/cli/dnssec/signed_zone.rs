//! A zone of the configuration with its key file, and since when the daemon serves what the file says.

use crate::cli::error::{CliError, Result};
use crate::config::keyfile::KeyFile;
use crate::config::{Config, Dnssec, ZoneSettings};
use crate::model::name::ZoneName;
use crate::model::time::{Clock, Timestamp};

use super::servers::{is_served, wait_until_served};

/// A zone of the configuration, with its settings for signing.
pub struct SignedZone<'c> {
    pub config: &'c Config,
    pub settings: &'c ZoneSettings,
    pub dnssec: &'c Dnssec,
}

impl<'c> SignedZone<'c> {
    /// The zone with this name, which must have a place for its key.
    pub fn find(config: &'c Config, zone: &ZoneName) -> Result<Self> {
        let settings = settings_of(config, zone)?;
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

    /// Reads the key file.
    pub fn read(&self) -> Result<KeyFile> {
        Ok(KeyFile::read(&self.dnssec.key, &self.settings.name)?)
    }

    /// Waits until the daemon serves a step, and records since when: the wait for the next step counts from there.
    pub fn record_when_served(&self, file: &mut KeyFile) -> Result<()> {
        if wait_until_served(self.config, file, self.dnssec).is_ok() { record_served(file) } else { Ok(()) }
    }

    /// Records since when the daemon serves a step, if it does now.
    pub fn record_if_served(&self, file: &mut KeyFile) -> Result<()> {
        if is_served(self.config, file, self.dnssec).is_ok() { record_served(file) } else { Ok(()) }
    }
}

/// The settings of the zone with this name.
pub fn settings_of<'c>(config: &'c Config, zone: &ZoneName) -> Result<&'c ZoneSettings> {
    let found = config.zones.iter().find(|settings| settings.name == *zone);
    found.ok_or_else(|| {
        let zones: Vec<String> = config.zones.iter().map(|settings| settings.name.to_string()).collect();
        let path = config.path.display();
        CliError::Usage(format!("{path} has no zone {zone}; its zones are {}", zones.join(", ")))
    })
}

fn record_served(file: &mut KeyFile) -> Result<()> {
    if file.seen.is_some() {
        return Ok(());
    }
    file.seen = Some(now());
    if file.phase.keys() > 1 && file.doubled.is_none() {
        file.doubled = file.seen;
    }
    Ok(file.save()?)
}

/// The wall clock: another process compares the recorded time with it days later.
pub fn now() -> Timestamp {
    Clock::start(None).now()
}
