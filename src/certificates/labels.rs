//! The names of this server at which certificates are proven, as the state folder knows them.
//!
//! CNAMEs lead to these names for ever. The database holds them, but it may be lost, or be replaced by a backup that is
//! older than they are. The state folder is kept apart from it, and gives them back.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::certificate::CertificateName;
use crate::delegation::challenge_target::owner_at;
use crate::file::state::{FileError, blocking, create_private_folder, read_toml, write_toml};
use crate::model::actor::Actor;
use crate::model::name::{CHALLENGE_LABEL, Name, Owner, PERSIST_LABEL};
use crate::publisher::Publisher;

use super::error::{CertificateError, Result};
use super::managed::history::StateFolder;

/// The folder in the state folder, with a file for each name of a certificate.
const FOLDER: &str = "labels";
const SUFFIX: &str = ".toml";

/// The content of a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    /// The owner to which the CNAME of the name leads.
    owner: String,
}

/// Names of certificates and their owners.
type Labels = Vec<(Name, String)>;

/// Notes where a name is proven, before somebody is asked for a CNAME that leads there.
pub async fn remember(state: &Path, name: &Name, owner: &Owner) -> Result<()> {
    let folder = state.join(FOLDER);
    let path = folder.join(format!("{name}{SUFFIX}"));
    let label = Label { owner: owner.to_string() };
    let written = move || {
        // One that is damaged is replaced.
        if read_toml::<Label>(&path).is_ok_and(|found| found.as_ref() == Some(&label)) {
            return Ok(());
        }
        create_private_folder(&folder)?;
        write_toml(&path, &label)
    };
    blocking(written).await.map_err(CertificateError::from)
}

/// Takes back the names that the state folder knows and the database does not, where nobody else owns them.
pub async fn take_back(publisher: &Publisher, state: &Path) {
    let reading = state.to_owned();
    let labels = match blocking(move || read(&reading)).await {
        Ok(labels) => labels,
        Err(error) => return warn!("the names at which certificates are proven cannot be read: {error}"),
    };
    for (name, target) in labels {
        let owner = target.parse().ok().and_then(|target| owner_at(publisher.zones(), &target));
        let Some(owner) = owner else { continue };
        match publisher.take_back(Actor::CERTIFICATES, name.clone(), owner.clone()).await {
            Ok(true) => info!(%name, %owner, "a name of this server is taken back for a certificate"),
            Ok(false) => {}
            Err(error) => warn!(%name, %owner, "a name of this server cannot be taken back: {error}"),
        }
    }
}

/// The names that somebody was asked for come first, and then where names were proven: that may be the owner of an account
/// that is gone. Blocks.
fn read(state: &Path) -> std::result::Result<Labels, FileError> {
    let mut labels = Labels::new();
    let folder = state.join(FOLDER);
    for file in entries(&folder)? {
        let Some(Ok(name)) = file.strip_suffix(SUFFIX).map(str::parse) else { continue };
        match read_toml::<Label>(&folder.join(&file)) {
            Ok(label) => labels.extend(label.map(|label| (name, label.owner))),
            Err(error) => warn!("the name at which {name} is proven cannot be read: {error}"),
        }
    }
    for file in entries(&state.join("certificates"))? {
        let Ok(certificate) = file.parse::<CertificateName>() else { continue };
        // The keeper of the certificate reports what is wrong with its files.
        let Ok(history) = StateFolder::of(state, &certificate).read_history() else { continue };
        let proven = history.proven.into_iter();
        labels.extend(proven.filter_map(|(looked_at, led_to)| Some((base(&looked_at)?, led_to))));
    }
    Ok(labels)
}

/// The names of the files in a folder; none if there is no such folder.
fn entries(folder: &Path) -> std::result::Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| FileError::io(folder, source))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| FileError::io(folder, source))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The name of a certificate, from the name at which a CA looks for its proof.
fn base(looked_at: &str) -> Option<Name> {
    let marks = [CHALLENGE_LABEL, PERSIST_LABEL].map(|label| format!("{label}."));
    let found = marks.iter().find_map(|mark| {
        let (before, base) = looked_at.split_once(mark)?;
        // The label of an ACME account may stand before it.
        (before.is_empty() || before.ends_with('.')).then_some(base)
    });
    found?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::state::write;
    use crate::model::name::Subdomain;

    #[test]
    fn names_are_found_behind_what_a_ca_looks_at() {
        for (looked_at, name) in [
            ("_acme-challenge.a.example", Some("a.example")),
            ("_ujmmovf2vn55tgye._acme-challenge.a.example", Some("a.example")),
            ("_validation-persist.a.example", Some("a.example")),
            ("a.example", None),
            ("x_acme-challenge.a.example", None),
            ("_acme-challenge", None),
        ] {
            assert_eq!(base(looked_at), name.map(|name| name.parse().unwrap()), "{looked_at}");
        }
    }

    #[tokio::test]
    async fn what_is_remembered_is_read_with_what_was_proven_before_and_damage_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path();
        assert!(read(state).unwrap().is_empty());
        let owner = |label: &str| Owner::subdomain("auth.test".parse().unwrap(), label.parse::<Subdomain>().unwrap());
        let name = |text: &str| text.parse::<Name>().unwrap();
        remember(state, &name("a.example"), &owner("one")).await.unwrap();
        remember(state, &name("b.example"), &owner("two")).await.unwrap();
        write(&state.join("labels/b.example.toml"), b"damaged").unwrap();
        write(&state.join("labels/c.example.toml.new-1"), b"left by a crash").unwrap();
        let certificate = state.join("certificates/d");
        fs::create_dir_all(&certificate).unwrap();
        let proven = "[proven]\n\"_acme-challenge.d.example\" = \"three.auth.test\"\n";
        write(&certificate.join("record.toml"), proven.as_bytes()).unwrap();
        let expected = [("a.example", "one.auth.test"), ("d.example", "three.auth.test")];
        assert_eq!(read(state).unwrap(), expected.map(|(label, owner)| (name(label), owner.to_owned())));
        remember(state, &name("b.example"), &owner("two")).await.unwrap();
        assert_eq!(read(state).unwrap().len(), 3);
    }
}
