//! The files of a managed certificate. `live/NAME` is a symlink to `archive/NAME/N`, which holds a certificate and its key.
//!
//! Files are never changed. A new version gets a folder of its own; when all its files are on disk, the symlink is replaced
//! in one step. Certificate and key change at once, and a crash leaves the old pair or the new one.
//!
//! The daemon may be root, and `owner` and `group` can read what it writes. Each folder must be a real one that only root
//! and the daemon can write to; otherwise others could redirect what the daemon writes and deletes.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tracing::warn;

use crate::acme::certificate::Chain;
use crate::config::ManagedCertificate;
use crate::file::state::{FileError, remove_file, removed};

use super::super::error::{CertificateError, Result};

/// The versions that are kept, including the one in use.
const KEPT: usize = 5;
/// The mode of folders: other programs look into them.
const FOLDER_MODE: u32 = 0o755;
/// The mode of files that are not secret.
const PUBLIC_MODE: u32 = 0o644;
/// The file name of the PKCS#12 bundle.
pub const BUNDLE: &str = "bundle.p12";

/// The folder of a certificate's newest files: `live/NAME`.
pub fn live(certificate: &ManagedCertificate) -> PathBuf {
    certificate.directory.join("live").join(certificate.name.to_string())
}

fn archive(certificate: &ManagedCertificate) -> PathBuf {
    certificate.directory.join("archive").join(certificate.name.to_string())
}

/// Reads the certificate, its chain and its key; `None` if one of the files is missing. Blocks.
pub fn read(certificate: &ManagedCertificate) -> Result<Option<Chain>> {
    let live = live(certificate);
    let Some(key) = read_text(&live.join("privkey.pem"))? else { return Ok(None) };
    let Some(chain) = read_text(&live.join("fullchain.pem"))? else { return Ok(None) };
    Ok(Some(Chain::from_pem(&(key + &chain))?))
}

fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io(path, error).into()),
    }
}

/// Whether there is a bundle.
pub fn has_bundle(certificate: &ManagedCertificate) -> bool {
    live(certificate).join(BUNDLE).exists()
}

/// Creates the missing ones of the folders that the daemon writes to. Fails if others can write to one of them. Blocks.
pub fn create_folders(certificate: &ManagedCertificate) -> Result<()> {
    for folder in folders(certificate) {
        create_folder(&folder).map_err(|source| FileError::io(&folder, source))?;
        check_folder(&folder)?;
    }
    Ok(())
}

/// Writes a new version, with its bundle if one is given, and switches to it. Blocks.
pub fn write(certificate: &ManagedCertificate, chain: &Chain, bundle: Option<&[u8]>) -> Result<()> {
    let live = live(certificate);
    let archive = archive(certificate);
    create_folders(certificate)?;
    let current = current(&live);
    // Versions newer than the one in use are incomplete. On a full disk they would keep it full.
    remove(&archive, versions(&archive)?.into_iter().filter(|version| Some(*version) > current));
    let versions = versions(&archive)?;
    let next = versions.last().map_or(1, |last| last.saturating_add(1));
    let folder = archive.join(next.to_string());
    fill(&folder, certificate, chain, bundle).map_err(|source| FileError::io(&folder, source))?;
    sync(&archive).map_err(|source| FileError::io(&archive, source))?;
    let target = Path::new("../archive").join(certificate.name.to_string()).join(next.to_string());
    point(&live, &target).map_err(|source| FileError::io(&live, source))?;
    let old = versions.len().saturating_sub(KEPT - 1);
    remove(&archive, versions.into_iter().take(old));
    Ok(())
}

/// Deletes all files of a certificate. Blocks.
pub fn delete(certificate: &ManagedCertificate) -> Result<()> {
    for folder in folders(certificate).iter().filter(|folder| folder.symlink_metadata().is_ok()) {
        check_folder(folder)?;
    }
    let archive = archive(certificate);
    remove_file(&live(certificate))?;
    Ok(removed(&archive, fs::remove_dir_all(&archive))?)
}

/// The folders that the daemon writes to, from the top.
fn folders(certificate: &ManagedCertificate) -> [PathBuf; 4] {
    let directory = &certificate.directory;
    [directory.clone(), directory.join("live"), directory.join("archive"), archive(certificate)]
}

/// Fails unless only root and the daemon can write to a folder.
fn check_folder(folder: &Path) -> Result<()> {
    let is = folder.symlink_metadata().map_err(|source| FileError::io(folder, source))?;
    let owner = is.uid();
    let mode = is.mode() & 0o7777;
    let found = if is.is_symlink() {
        "a symlink".into()
    } else if !is.is_dir() {
        "not a folder".into()
    } else if owner != 0 && owner != geteuid().as_raw() {
        format!("a folder of the user {owner}")
    } else if mode & 0o022 != 0 {
        format!("a folder that more than its owner can write (mode {mode:o})")
    } else {
        return Ok(());
    };
    Err(CertificateError::Unguarded { path: folder.to_owned(), found })
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        // Another certificate has created it at the same time.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        made => made?,
    }
    // The umask may have removed rights that others need.
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
        // Private until it has its owner.
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

/// Replaces the target of a symlink in one step.
fn point(link: &Path, target: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (link.parent(), link.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let new = folder.join(format!(".{}.new", name.to_string_lossy()));
    // What a crash has left.
    if new.symlink_metadata().is_ok() {
        fs::remove_file(&new)?;
    }
    symlink(target, &new)?;
    fs::rename(&new, link)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The versions in the archive, the oldest first. A crash may have left incomplete ones.
fn versions(archive: &Path) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(archive).map_err(|source| FileError::io(archive, source))? {
        let name = entry.map_err(|source| FileError::io(archive, source))?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The version that the symlink points to.
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
            assert_eq!(read(&certificate).unwrap().unwrap().info, chain.info);
            let live = live(&certificate);
            assert_eq!(fs::read_link(&live).unwrap(), Path::new(&format!("../archive/a.test.example/{version}")));
            let mode = |name: &str| fs::metadata(live.join(name)).unwrap().mode() & 0o7777;
            assert_eq!((mode("privkey.pem"), mode("fullchain.pem"), mode("")), (0o640, 0o644, 0o755));
            let text = |name: &str| fs::read_to_string(live.join(name)).unwrap();
            assert_eq!(text("cert.pem") + &text("chain.pem"), text("fullchain.pem"));
            serials.push(chain.info.serial);
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
        assert_eq!(read(&certificate).unwrap().unwrap().info, first.info);
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
        assert_eq!(read(&certificate).unwrap().unwrap().info, last.info);
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
