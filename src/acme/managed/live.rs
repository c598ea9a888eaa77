//! The files of a managed certificate: `live/NAME` is a symlink to `archive/NAME/N`, where a certificate and its key
//! lie together.
//!
//! What is written is never changed: a new version gets a folder of its own, and when all of it is on the disk the
//! symlink is replaced in one step. So certificate and key change at once, and a crash leaves the old pair or the new
//! one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use crate::config::ManagedCertificate;

use super::super::certificate::Chain;
use super::super::error::Result;
use super::super::state::failed;

/// Versions that are kept, the one in use included.
const KEPT: usize = 5;
/// Folders that other programs look into.
const FOLDER_MODE: u32 = 0o755;
/// Files that are no secret.
const PUBLIC_MODE: u32 = 0o644;
/// All of it in one file, sealed with a password.
pub const BUNDLE: &str = "bundle.p12";

/// The folder in which a certificate's newest files are found: `live/NAME`.
pub fn live(certificate: &ManagedCertificate) -> PathBuf {
    certificate.directory.join("live").join(certificate.name.to_string())
}

fn archive(certificate: &ManagedCertificate) -> PathBuf {
    certificate.directory.join("archive").join(certificate.name.to_string())
}

/// The pair that is there.
pub fn read(certificate: &ManagedCertificate) -> Result<Option<Chain>> {
    let live = live(certificate);
    let text = |file: &str| match fs::read_to_string(live.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&live.join(file), error)),
    };
    match (text("privkey.pem")?, text("fullchain.pem")?) {
        (Some(key), Some(chain)) => Chain::from_pem(&(key + &chain)).map(Some),
        _ => Ok(None),
    }
}

/// Whether there is a bundle beside the pair.
pub fn has_bundle(certificate: &ManagedCertificate) -> bool {
    live(certificate).join(BUNDLE).exists()
}

/// Puts a new pair in place, and the bundle that it is in as well. Blocks.
pub fn write(certificate: &ManagedCertificate, chain: &Chain, bundle: Option<&[u8]>) -> Result<()> {
    let (live, archive) = (live(certificate), archive(certificate));
    let step = |path: &Path, done: io::Result<()>| done.map_err(|source| failed(path, source));
    for folder in [live.parent(), Some(&archive)].into_iter().flatten() {
        step(folder, folders(folder))?;
    }
    let versions = versions(&archive).map_err(|source| failed(&archive, source))?;
    let current = current(&live);
    let next = versions.iter().max().map_or(1, |last| last + 1);
    let folder = archive.join(next.to_string());
    step(&folder, fill(&folder, certificate, chain, bundle))?;
    step(&archive, sync(&archive))?;
    step(&live, point(&live, &Path::new("../archive").join(certificate.name.to_string()).join(next.to_string())))?;
    step(&archive, prune(&archive, versions, current))
}

/// Takes away all of a certificate's files. Blocks.
pub fn delete(certificate: &ManagedCertificate) -> Result<()> {
    let (live, archive) = (live(certificate), archive(certificate));
    let gone = |path: &Path, done: io::Result<()>| match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    };
    gone(&live, fs::remove_file(&live))?;
    gone(&archive, fs::remove_dir_all(&archive))
}

fn folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        folders(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        // Another certificate, which came at the same time, was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        made => made?,
    }
    // The umask may have taken away what others need.
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    folder.parent().map_or(Ok(()), sync)
}

fn fill(folder: &Path, certificate: &ManagedCertificate, chain: &Chain, bundle: Option<&[u8]>) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    let pem = [
        ("privkey.pem", chain.key().reveal_pem(), certificate.mode),
        ("fullchain.pem", chain.pem(), PUBLIC_MODE),
        ("cert.pem", chain.leaf_pem(), PUBLIC_MODE),
        ("chain.pem", chain.issuers_pem(), PUBLIC_MODE),
    ];
    let pem = pem.iter().map(|(name, text, mode)| (*name, text.as_bytes(), *mode));
    for (name, octets, mode) in pem.chain(bundle.map(|octets| (BUNDLE, octets, certificate.mode))) {
        // Private until it is whose it shall be.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        let owner = certificate.owner;
        if owner.user.is_some() || owner.group.is_some() {
            fchown(&file, owner.user, owner.group)?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(octets)?;
        file.sync_all()?;
    }
    sync(folder)
}

/// Lets the symlink lead elsewhere, in one step.
fn point(link: &Path, target: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (link.parent(), link.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let new = folder.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &new)?;
    fs::rename(&new, link)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The versions in the archive, those that a crash has left half done among them.
fn versions(archive: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(archive)? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(found)
}

/// The version that the symlink leads to.
fn current(live: &Path) -> Option<u64> {
    fs::read_link(live).ok()?.file_name()?.to_str()?.parse().ok()
}

/// Takes away the oldest versions, and those newer than the one in use, which were never whole.
fn prune(archive: &Path, mut versions: Vec<u64>, current: Option<u64>) -> io::Result<()> {
    versions.sort_unstable();
    let whole: Vec<u64> = versions.iter().copied().filter(|version| Some(*version) <= current).collect();
    let old = &whole[..whole.len().saturating_sub(KEPT - 1)];
    let half = versions.iter().filter(|version| Some(**version) > current);
    for version in old.iter().chain(half) {
        fs::remove_dir_all(archive.join(version.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use crate::acme::certificate::CertificateKey;
    use crate::config::{KeyType, file};

    use super::*;

    fn certificate(folder: &Path, mode: &str) -> ManagedCertificate {
        let wanted = format!("names = [\"a.test.example\"]\nmode = {mode:?}\ndirectory = {folder:?}");
        let wanted: file::Certificate = toml::from_str(&wanted).unwrap();
        ManagedCertificate::read(&wanted, Path::new("/")).unwrap()
    }

    fn chain() -> Chain {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        key.self_signed(&["a.test.example".parse().unwrap()]).unwrap()
    }

    #[test]
    fn a_pair_is_found_where_certbot_would_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = certificate(&folder.path().join("x"), "0640");
        assert!(read(&certificate).unwrap().is_none());
        let mut serials = Vec::new();
        for version in 1..=8 {
            let chain = chain();
            write(&certificate, &chain, None).unwrap();
            assert_eq!(read(&certificate).unwrap().unwrap().facts, chain.facts);
            let live = live(&certificate);
            assert_eq!(fs::read_link(&live).unwrap(), Path::new(&format!("../archive/a.test.example/{version}")));
            let mode = |name: &str| fs::metadata(live.join(name)).unwrap().mode() & 0o7777;
            assert_eq!((mode("privkey.pem"), mode("fullchain.pem"), mode("")), (0o640, 0o644, 0o755));
            let text = |name: &str| fs::read_to_string(live.join(name)).unwrap();
            assert_eq!(text("cert.pem") + &text("chain.pem"), text("fullchain.pem"));
            serials.push(chain.facts.serial);
        }
        assert_eq!(versions(&archive(&certificate)).unwrap().len(), KEPT);
        delete(&certificate).unwrap();
        delete(&certificate).unwrap();
        assert!(read(&certificate).unwrap().is_none() && !archive(&certificate).exists());
    }

    #[test]
    fn what_a_crash_has_left_half_done_is_never_used_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = certificate(folder.path(), "0600");
        let first = chain();
        write(&certificate, &first, None).unwrap();
        let half = archive(&certificate).join("2");
        fs::create_dir(&half).unwrap();
        fs::write(half.join("privkey.pem"), "half").unwrap();
        symlink("../archive/a.test.example/2", folder.path().join("live/.a.test.example.new")).unwrap();
        assert_eq!(read(&certificate).unwrap().unwrap().facts, first.facts);
        write(&certificate, &chain(), None).unwrap();
        assert!(!half.exists() && archive(&certificate).join("3").exists() && archive(&certificate).join("1").exists());
        assert_eq!(fs::read_dir(folder.path().join("live")).unwrap().count(), 1);
    }
}
