//! The certificates that acme-dns has got itself: `certificates/<authority>/<domain>/<domain>.crt` and `.key` in its cache.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The newest chain for a domain, and its key. With `of_staging`, only certificates of Let's Encrypt's staging CA count,
/// which acme-dns stores beside the others.
pub fn newest(cache: &Path, domain: &str, of_staging: bool) -> Option<(PathBuf, PathBuf)> {
    let authorities = std::fs::read_dir(cache.join("certificates")).ok()?.filter_map(Result::ok);
    let of_kind = authorities.filter(|entry| entry.file_name().to_string_lossy().contains("staging") == of_staging);
    let files = of_kind.filter_map(|entry| {
        let folder = entry.path().join(domain);
        let chain = folder.join(format!("{domain}.crt"));
        let key = folder.join(format!("{domain}.key"));
        let written = std::fs::metadata(&chain).and_then(|file| file.modified()).ok()?;
        key.exists().then_some((written, chain, key))
    });
    let newest = files.max_by_key(|(written, ..): &(SystemTime, _, _)| *written);
    newest.map(|(_, chain, key)| (chain, key))
}
