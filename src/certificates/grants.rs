//! What certificates rely on that stays: persistent authorizations, kept in mind for as long as they stand.
//!
//! Each is a standing grant, so none is published before the disk knows of it, and none is forgotten while it stands.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::file;
use crate::model::name::Owner;
use crate::model::txt::persist::{PersistValue, PersistentValue};
use crate::publisher::{Author, Publisher};

use crate::acme::account::blocking;
use crate::acme::error::{AcmeError, Result};
use crate::acme::state::{failed, private_text};
use crate::delegation::challenge_target::owner_at;
use crate::delegation::persist::{covers, lasts, quoted};

/// A grant that a certificate relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// The name at which the CA looks.
    pub name: String,
    /// The owner at which the daemon has published it; `None` for a record in somebody else's zone.
    pub owner: Option<String>,
    /// What it says.
    pub value: String,
}

impl Grant {
    /// Publishes it, and retires what it replaces.
    pub async fn publish(publisher: &Publisher, owner: &Owner, value: &PersistValue) -> Result<()> {
        let is_it = |standing: &PersistentValue| standing.value == *value && lasts(standing, value);
        if !publisher.persistent(owner).iter().any(is_it) {
            publisher.persist(Author::Operator, owner.clone(), value.clone(), None).await?;
        }
        for old in publisher.persistent(owner).into_iter().map(|standing| standing.value) {
            if old != *value && covers(value, &old) {
                publisher.retire_persistent(Author::Operator, owner.clone(), Some(old)).await?;
            }
        }
        Ok(())
    }

    /// Takes it away where it is ours; whether it is. One that cannot be read is nothing that is served.
    pub async fn withdraw(&self, publisher: &Publisher) -> Result<bool> {
        let Some(at) = &self.owner else { return Ok(false) };
        let owner = at.parse().ok().and_then(|name| owner_at(publisher, &name));
        let (Some(owner), Ok(value)) = (owner, self.value.parse()) else {
            warn!(owner = at, value = self.value, "a persistent authorization is in no zone of this server any more");
            return Ok(true);
        };
        publisher.retire_persistent(Author::Operator, owner, Some(value)).await?;
        Ok(true)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. TXT {}", self.name, quoted(&self.value))
    }
}

/// The file that says which grants a certificate relies on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct GrantFile {
    #[serde(default)]
    grant: Vec<Grant>,
}

/// The grants that a file tells of. Blocks.
pub fn standing(path: &Path) -> Result<Vec<Grant>> {
    let Some(text) = private_text(path)? else { return Ok(Vec::new()) };
    let damaged =
        |error: toml::de::Error| AcmeError::Damaged { path: path.to_owned(), problem: error.message().to_owned() };
    toml::from_str(&text).map(|standing: GrantFile| standing.grant).map_err(damaged)
}

/// Writes down that these grants stand as well: before they do.
pub async fn remember(path: &Path, grants: &[Grant]) -> Result<()> {
    let (path, grants) = (path.to_owned(), grants.to_vec());
    blocking(move || {
        let mut all = standing(&path)?;
        let known = all.len();
        for grant in grants {
            if !all.contains(&grant) {
                all.push(grant);
            }
        }
        if all.len() == known { Ok(()) } else { write(&path, all) }
    })
    .await
}

/// Withdraws the grants that a certificate does not rely on any more: for other names than these, at which the CA has
/// looked, and those that were replaced.
pub async fn withdraw_others(publisher: &Publisher, path: &Path, names: &[String], granted: &[Grant]) -> Result<()> {
    let reading = path.to_owned();
    let all = blocking(move || standing(&reading)).await?;
    let is_replaced = |grant: &Grant| granted.iter().any(|new| new.name == grant.name);
    let is_used = |grant: &Grant| granted.contains(grant) || names.contains(&grant.name) && !is_replaced(grant);
    let (used, others): (Vec<Grant>, Vec<Grant>) = all.into_iter().partition(is_used);
    if others.is_empty() {
        return Ok(());
    }
    for grant in others {
        if !grant.withdraw(publisher).await? {
            info!("this record is not needed any more, and goes on granting what it says: {grant}");
        }
    }
    let writing = path.to_owned();
    blocking(move || write(&writing, used)).await
}

fn write(path: &Path, grant: Vec<Grant>) -> Result<()> {
    let text = toml::to_string(&GrantFile { grant }).map_err(|error| failed(path, std::io::Error::other(error)))?;
    file::replace(path, text.as_bytes()).map_err(|source| failed(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grants_are_remembered_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grants.toml");
        let grant = |name: &str| Grant { name: name.into(), owner: None, value: "x".into() };
        remember(&path, &[]).await.unwrap();
        assert!(!path.exists());
        remember(&path, &[grant("a")]).await.unwrap();
        remember(&path, &[grant("a"), grant("b")]).await.unwrap();
        assert_eq!(standing(&path).unwrap(), [grant("a"), grant("b")]);
        std::fs::write(&path, "grant = 1").unwrap();
        assert!(matches!(standing(&path), Err(AcmeError::Damaged { .. })));
    }
}
