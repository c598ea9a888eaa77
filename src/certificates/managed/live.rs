//! The files of a managed certificate: `live/NAME` is a symlink to `archive/NAME/N`, where a certificate and its key
//! lie together.
//!
//! What is written is never changed: a new version gets a folder of its own, and when all of it is on the disk the
//! symlink is replaced in one step. So certificate and key change at once, and a crash leaves the old pair or the new
//! one.
//!
//! The daemon may be root, and `owner` and `group` can read what it writes: each folder must be a real one that nobody but
//! root and the daemon can write, or others could lead its writing and its deleting elsewhere.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tracing::warn;

use crate::config::ManagedCertificate;

use crate::acme::certificate::Chain;
use crate::acme::error::{AcmeError, Result};
use crate::acme::state::failed;

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

/// Makes the folders in which is written where they are not there, and refuses those that others can write. Blocks.
pub fn prepare(certificate: &ManagedCertificate) -> Result<()> {
    for folder in folders(certificate) {
        make(&folder).map_err(|source| failed(&folder, source))?;
        guarded(&folder)?;
    }
    Ok(())
}

/// Puts a new pair in place, and the bundle that it is in as well. Blocks.
pub fn write(certificate: &ManagedCertificate, chain: &Chain, bundle: Option<&[u8]>) -> Result<()> {
    let (live, archive) = (live(certificate), archive(certificate));
    let step = |path: &Path, done: io::Result<()>| done.map_err(|source| failed(path, source));
    prepare(certificate)?;
    let current = current(&live);
    // Those newer than the one in use were never whole; a disk that is full of them would stay full.
    remove(&archive, versions(&archive)?.into_iter().filter(|version| Some(*version) > current));
    let versions = versions(&archive)?;
    let next = versions.last().map_or(1, |last| last.saturating_add(1));
    let folder = archive.join(next.to_string());
    step(&folder, fill(&folder, certificate, chain, bundle))?;
    step(&archive, sync(&archive))?;
    step(&live, point(&live, &Path::new("../archive").join(certificate.name.to_string()).join(next.to_string())))?;
    let old = versions.len().saturating_sub(KEPT - 1);
    remove(&archive, versions.into_iter().take(old));
    Ok(())
}

/// Takes away all of a certificate's files. Blocks.
pub fn delete(certificate: &ManagedCertificate) -> Result<()> {
    let (live, archive) = (live(certificate), archive(certificate));
    let gone = |path: &Path, done: io::Result<()>| match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    };
    for folder in folders(certificate).iter().filter(|folder| folder.symlink_metadata().is_ok()) {
        guarded(folder)?;
    }
    gone(&live, fs::remove_file(&live))?;
    gone(&archive, fs::remove_dir_all(&archive))
}

/// Those in which is written, from the top.
fn folders(certificate: &ManagedCertificate) -> [PathBuf; 4] {
    let directory = &certificate.directory;
    [directory.clone(), directory.join("live"), directory.join("archive"), archive(certificate)]
}

fn guarded(folder: &Path) -> Result<()> {
    let is = folder.symlink_metadata().map_err(|source| failed(folder, source))?;
    let (owner, mode) = (is.uid(), is.mode() & 0o7777);
    let found = if is.is_symlink() {
        "a symlink".into()
    } else if !is.is_dir() {
        "no folder".into()
    } else if owner != 0 && owner != geteuid().as_raw() {
        format!("a folder of the user {owner}")
    } else if mode & 0o022 != 0 {
        format!("a folder that more than its owner can write (mode {mode:o})")
    } else {
        return Ok(());
    };
    Err(AcmeError::Unguarded { path: folder.to_owned(), found })
}

fn make(folder: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make(parent)?;
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
    for (name, bytes, mode) in pem.chain(bundle.map(|bytes| (BUNDLE, bytes, certificate.mode))) {
        // Private until it is whose it shall be.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        let owner = certificate.owner;
        if owner.user.is_some() || owner.group.is_some() {
            fchown(&file, owner.user, owner.group)?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
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

/// The versions in the archive, those that a crash has left half done among them, the oldest first.
fn versions(archive: &Path) -> Result<Vec<u64>> {
    let unread = |source| failed(archive, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(archive).map_err(unread)? {
        found.extend(entry.map_err(unread)?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The version that the symlink leads to.
fn current(live: &Path) -> Option<u64> {
    fs::read_link(live).ok()?.file_name()?.to_str()?.parse().ok()
}

/// Takes away versions. One that stays is in nobody's way: the certificate is what matters.
fn remove(archive: &Path, versions: impl Iterator<Item = u64>) {
    for version in versions.map(|version| archive.join(version.to_string())) {
        fs::remove_dir_all(&version).unwrap_or_else(|error| warn!("{} stays: {error}", version.display()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

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
        assert!(fs::read(half.join("privkey.pem")).unwrap() != b"half" && archive(&certificate).join("1").exists());
        assert_eq!(fs::read_dir(folder.path().join("live")).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_pruned_fails_nothing_and_half_versions_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = certificate(folder.path(), "0600");
        let archive = archive(&certificate);
        fs::create_dir_all(&archive).unwrap();
        fs::write(archive.join("0"), "not ours").unwrap();
        for _ in 1..=KEPT + 2 {
            write(&certificate, &chain(), None).unwrap();
        }
        assert!(archive.join("0").exists(), "it is not ours");
        let last = chain();
        // Attempts that the disk was too small for.
        for half in 100..110 {
            fs::create_dir(archive.join(half.to_string())).unwrap();
        }
        write(&certificate, &last, None).unwrap();
        assert_eq!(read(&certificate).unwrap().unwrap().facts, last.facts);
        assert!(versions(&archive).unwrap().iter().all(|version| *version < 10), "{:?}", versions(&archive));
    }

    #[test]
    fn folders_that_others_can_write_are_neither_followed_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let (home, victim) = (folder.path().join("home"), folder.path().join("victim"));
        let certificate = certificate(&home, "0600");
        let archive = home.join("archive");
        fs::create_dir_all(victim.join("10")).unwrap();
        let refused = |place: &Path, found: &str| {
            for done in [write(&certificate, &chain(), None), delete(&certificate)] {
                let said = done.unwrap_err().explained();
                assert!(said.starts_with(&format!("{} is {found}", place.display())), "{said}");
                assert!(said.contains("`chmod go-w`"), "{said}");
            }
            assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{found}");
        };
        write(&certificate, &chain(), None).unwrap();
        for place in folders(&certificate) {
            let aside = folder.path().join("aside");
            fs::rename(&place, &aside).unwrap();
            symlink(&victim, &place).unwrap();
            refused(&place, "a symlink: ");
            fs::remove_file(&place).unwrap();
            fs::rename(&aside, &place).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(0o775)).unwrap();
            refused(&place, "a folder that more than its owner can write (mode 775): ");
            fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
            // Only root can give a folder away.
            if chown(&place, Some(1_000), None).is_ok() {
                refused(&place, "a folder of the user 1000: ");
                chown(&place, Some(geteuid().as_raw()), None).unwrap();
            }
        }
        write(&certificate, &chain(), None).unwrap();
        delete(&certificate).unwrap();
        assert!(!archive.join("a.test.example").exists());
    }
}
