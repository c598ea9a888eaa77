//! Persistent authorizations that certificates rely on. They stay when the certificate has been issued.
//!
//! Each is a standing grant. None is published before the disk knows of it, and none is forgotten while it stands.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::delegation::challenge_target::owner_at;
use crate::delegation::persist::{covers, lasts, quoted};
use crate::file::state::{FileError, blocking, read_toml, write_toml};
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::model::txt::persist::PersistValue;
use crate::publisher::Publisher;

use super::error::Result;

/// A persistent authorization that a certificate relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PersistentGrant {
    /// The name at which the CA looks.
    pub name: String,
    /// The owner at which the daemon has published the value; `None` for a record in somebody else's zone.
    pub owner: Option<String>,
    /// The value of the TXT record.
    pub value: String,
}

impl PersistentGrant {
    /// Publishes a value, and retires those that it replaces.
    pub async fn publish(publisher: &Publisher, owner: &Owner, value: &PersistValue) -> Result<()> {
        let now = publisher.moment();
        let published = publisher.persistent(owner);
        if !published.iter().any(|standing| standing.value == *value && lasts(standing, value, now)) {
            publisher.persist(Actor::CERTIFICATES, owner.clone(), value.clone(), None).await?;
        }
        for standing in publisher.persistent(owner) {
            if standing.value != *value && covers(value, &standing.value) {
                publisher.retire_persistent(Actor::CERTIFICATES, owner.clone(), Some(standing.value)).await?;
            }
        }
        Ok(())
    }

    /// Withdraws the grant if the daemon has published it. Returns `false` for a record in somebody else's zone. A value
    /// that cannot be parsed is not served, so it counts as withdrawn.
    pub async fn withdraw(&self, publisher: &Publisher) -> Result<bool> {
        let Some(at) = &self.owner else { return Ok(false) };
        let owner = at.parse().ok().and_then(|name| owner_at(publisher.zones(), &name));
        let (Some(owner), Ok(value)) = (owner, self.value.parse()) else {
            warn!(
                owner = at,
                value = self.value,
                "no zone of this server holds this persistent authorization any more"
            );
            return Ok(true);
        };
        publisher.retire_persistent(Actor::CERTIFICATES, owner, Some(value)).await?;
        Ok(true)
    }
}

impl fmt::Display for PersistentGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. TXT {}", self.name, quoted(&self.value))
    }
}

/// The file that lists the grants of a certificate.
#[derive(Debug, Default, Serialize, Deserialize)]
struct GrantFile {
    #[serde(default)]
    grant: Vec<PersistentGrant>,
}

/// Reads the grants that a file lists. Blocks.
pub fn read(path: &Path) -> std::result::Result<Vec<PersistentGrant>, FileError> {
    let file: Option<GrantFile> = read_toml(path)?;
    Ok(file.unwrap_or_default().grant)
}

/// Adds grants to the file, before they are published.
pub async fn remember(path: &Path, grants: &[PersistentGrant]) -> Result<()> {
    let path = path.to_owned();
    let grants = grants.to_vec();
    Ok(blocking(move || add(&path, grants)).await?)
}

/// Adds grants to the file. Blocks.
fn add(path: &Path, grants: Vec<PersistentGrant>) -> std::result::Result<(), FileError> {
    let mut all = read(path)?;
    let known = all.len();
    for grant in grants {
        if !all.contains(&grant) {
            all.push(grant);
        }
    }
    if all.len() == known { Ok(()) } else { write_toml(path, &GrantFile { grant: all }) }
}

/// Withdraws the grants that a certificate does not rely on any more: those for other names than `names`, at which the
/// CA has looked, and those that `granted` replaces.
pub async fn withdraw_others(
    publisher: &Publisher,
    path: &Path,
    names: &[String],
    granted: &[PersistentGrant],
) -> Result<()> {
    let reading = path.to_owned();
    let all = blocking(move || read(&reading)).await?;
    let mut used = Vec::new();
    let mut others = Vec::new();
    for grant in all {
        let is_replaced = granted.iter().any(|new| new.name == grant.name);
        let is_used = granted.contains(&grant) || names.contains(&grant.name) && !is_replaced;
        if is_used { &mut used } else { &mut others }.push(grant);
    }
    if others.is_empty() {
        return Ok(());
    }
    for grant in others {
        if !grant.withdraw(publisher).await? {
            info!("this record is not needed any more, but still grants what it says: {grant}");
        }
    }
    let writing = path.to_owned();
    Ok(blocking(move || write_toml(&writing, &GrantFile { grant: used })).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grants_are_remembered_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        let grant = |name: &str| PersistentGrant { name: name.into(), owner: None, value: "x".into() };
        remember(&path, &[]).await.unwrap();
        assert!(!path.exists());
        remember(&path, &[grant("a")]).await.unwrap();
        remember(&path, &[grant("a"), grant("b")]).await.unwrap();
        assert_eq!(read(&path).unwrap(), [grant("a"), grant("b")]);
        std::fs::write(&path, "grant = 1").unwrap();
        assert!(matches!(read(&path), Err(FileError::Damaged { .. })));
    }
}
