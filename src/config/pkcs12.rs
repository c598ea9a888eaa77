//! PKCS#12 bundles of managed certificates, and their passwords.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::file::{Unread, Unusable, private_text};

/// Whether this build makes bundles.
pub const IS_BUILT_IN: bool = cfg!(feature = "pkcs12");

/// The error of a configuration with a bundle, in a build without them.
pub const NOT_BUILT_IN: &str = "this txtgate was built without PKCS#12 bundles; \
     build one with `cargo build --release --features pkcs12`, or leave `pkcs12` out";

/// The longest password, in bytes.
const LONGEST: usize = 1_024;

/// A bundle that is wanted beside the PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs12 {
    /// The private file with the password. The daemon reads it whenever it writes a bundle.
    pub password_file: PathBuf,
}

/// The password cannot be read. Each message says what to do.
#[derive(Debug, Clone, Error)]
pub enum PasswordError {
    #[error("the PKCS#12 password file {} is missing; write the password into it, with mode 0600", .0.display())]
    Missing(PathBuf),
    #[error("others can read the PKCS#12 password file {} (mode {mode:o}); run `chmod 600` on it", path.display())]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("the PKCS#12 password file {} is empty; write the password into it, as one line", .0.display())]
    Empty(PathBuf),
    #[error(
        "the PKCS#12 password file {} holds something else; write the password as one line of at most {LONGEST} bytes, \
         without control characters and without characters beyond U+FFFF, for which PKCS#12 has no room", .0.display()
    )]
    NotOneLine(PathBuf),
    #[error("cannot read the PKCS#12 password file {}", Unusable(path, source))]
    File { path: PathBuf, source: Arc<io::Error> },
}

/// A bundle's password.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The password itself, for the encryption.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

impl Pkcs12 {
    /// Reads the password, which is the only line of the file. Blocks.
    pub fn password(&self) -> Result<Password, PasswordError> {
        let path = self.password_file.clone();
        let text = match private_text(&path) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(PasswordError::Missing(path)),
            Err(Unread::NotPrivate(mode)) => return Err(PasswordError::NotPrivate { path, mode }),
            Err(Unread::File(source)) => return Err(PasswordError::File { path, source: source.into() }),
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(PasswordError::Empty(path));
        }
        // RFC 7292 appendix B.1: a BMPString.
        let is_room_for = |c: char| !c.is_control() && c <= '\u{ffff}';
        if line.len() > LONGEST || !line.chars().all(is_room_for) {
            return Err(PasswordError::NotOneLine(path));
        }
        Ok(Password(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &[u8], mode: u32) -> Result<Password, PasswordError> {
        let folder = tempfile::tempdir().unwrap();
        let password_file = folder.path().join("password");
        std::fs::write(&password_file, text).unwrap();
        std::fs::set_permissions(&password_file, std::fs::Permissions::from_mode(mode)).unwrap();
        Pkcs12 { password_file }.password()
    }

    #[test]
    fn a_password_is_a_line_and_spaces_are_a_part_of_it() {
        for (text, expected) in [("secret", "secret"), ("secret\n", "secret"), (" é b \r\n", " é b ")] {
            assert_eq!(read(text.as_bytes(), 0o600).unwrap().reveal(), expected);
        }
        let password = read(b"secret", 0o400).unwrap();
        assert!(!format!("{password:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_password_says_what_to_do_and_shows_nothing_of_it() {
        let long = "secret".repeat(200);
        for (text, mode, advice) in [
            (&b"secret"[..], 0o640, "(mode 640); run `chmod 600`"),
            (b"", 0o600, "is empty; write the password"),
            (b"\n", 0o600, "is empty; write the password"),
            (b"secret\nsecret\n", 0o600, "write the password as one line"),
            ("secret😀".as_bytes(), 0o600, "beyond U+FFFF"),
            (long.as_bytes(), 0o600, "at most 1024 bytes"),
            (b"secret\xff", 0o600, "cannot read the PKCS#12 password file"),
        ] {
            let said = read(text, mode).unwrap_err().to_string();
            assert!(said.contains(advice) && !said.contains("secret"), "{said}");
        }
        let missing = Pkcs12 { password_file: "/no/such/file".into() }.password().unwrap_err().to_string();
        assert!(missing.contains("/no/such/file is missing; write the password into it, with mode 0600"), "{missing}");
    }
}
