//! `[[certificate]]`: certificates that the daemon gets and renews for other programs of this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix::unistd::{Group, User};
use thiserror::Error;

use crate::file::folder_of;
use crate::model::identifier::Identifier;
use crate::model::name::idn;
use crate::model::time::Span;

use super::pkcs12::{IS_BUILT_IN, NOT_BUILT_IN, Pkcs12};
use super::read::Reader;
use super::{KeyType, Method, file};

/// The most names of one certificate; CAs accept no more.
const MAX_NAMES: usize = 100;
/// The most managed certificates of one configuration.
pub const MAX_CERTIFICATES: usize = 1_000;
/// The longest timeout of a hook.
const LONGEST_HOOK: Duration = Duration::from_secs(3_600);

/// A text cannot name a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot name a certificate; write at most 100 lower-case letters, digits, and inner `-`, `_` and `.`")]
pub struct CertificateNameError(String);

/// The name of a managed certificate and of its folder; by default the first name in the certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateName(String);

impl FromStr for CertificateName {
    type Err = CertificateNameError;

    fn from_str(text: &str) -> Result<Self, CertificateNameError> {
        let text = &*idn::to_ascii(text).map_err(|_| CertificateNameError(text.chars().take(100).collect()))?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let ends = text.starts_with(plain) && text.ends_with(plain);
        let inner = text.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'));
        if ends && inner && text.len() <= 100 {
            return Ok(Self(text.to_owned()));
        }
        Err(CertificateNameError(text.chars().take(100).collect()))
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A certificate to get and to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedCertificate {
    pub name: CertificateName,
    /// At least one name, and none twice.
    pub names: Vec<Identifier>,
    /// The folder of `live` and `archive`.
    pub directory: PathBuf,
    /// `None`: as in `[acme]`, like the next two.
    pub key_type: Option<KeyType>,
    pub challenge: Option<Method>,
    pub profile: Option<String>,
    /// Whether a certificate for some of the names is better than none.
    pub allow_subset: bool,
    /// The owner of the files.
    pub owner: Ids,
    /// The mode of the private key's file.
    pub mode: u32,
    /// The bundle beside the PEM files, if one is wanted.
    pub pkcs12: Option<Pkcs12>,
    /// The program that runs with each new certificate.
    pub hook: Option<DeployHook>,
}

/// A user and a group by number; `None`: the daemon's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub user: Option<u32>,
    pub group: Option<u32>,
}

/// A program that the daemon runs with each new certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployHook {
    /// The absolute path of the program, which runs without a shell.
    pub program: String,
    pub arguments: Vec<String>,
    /// The time after which the daemon kills it.
    pub timeout: Duration,
    /// The user and group as which it runs.
    pub owner: Ids,
}

impl fmt::Display for DeployHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// A key with a wrong value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}: {problem}")]
pub struct Wrong {
    /// The key, like `names.1`.
    pub key: String,
    /// What was found and what to write.
    pub problem: String,
}

/// All keys of a certificate with wrong values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct WrongKeys(pub Vec<Wrong>);

impl ManagedCertificate {
    /// Reads a `[[certificate]]`. A relative `directory` or `pkcs12-password-file` begins in `folder`. The error has all
    /// mistakes.
    pub fn read(wanted: &file::Certificate, folder: &Path) -> Result<Self, WrongKeys> {
        let mut mistakes = Vec::new();
        let names = noted(names(&wanted.names), &mut mistakes);
        let first = names.as_ref().and_then(|names| names.first()).map(|name| name.base().to_string());
        let name = wanted.name.clone().or(first);
        let name = name.map(|name| noted(name.parse().map_err(|error| wrong("name", &error)), &mut mistakes));
        let user = noted(user("owner", &wanted.owner), &mut mistakes);
        let group = noted(group("group", &wanted.group), &mut mistakes);
        let mode = noted(mode(&wanted.mode), &mut mistakes);
        let pkcs12 = noted(pkcs12(wanted, folder, IS_BUILT_IN), &mut mistakes);
        let hook = noted(hook(wanted), &mut mistakes);
        let (Some(Some(name)), Some(names), Some(mode)) = (name, names, mode) else { return Err(WrongKeys(mistakes)) };
        if !mistakes.is_empty() {
            return Err(WrongKeys(mistakes));
        }
        Ok(Self {
            name,
            names,
            directory: folder.join(&wanted.directory),
            key_type: wanted.key_type,
            challenge: wanted.challenge,
            profile: wanted.profile.clone(),
            allow_subset: wanted.allow_subset,
            owner: Ids { user: user.flatten(), group: group.flatten() },
            mode,
            pkcs12: pkcs12.flatten(),
            hook: hook.flatten(),
        })
    }
}

/// The value; a mistake is noted.
fn noted<T>(read: Result<T, Wrong>, mistakes: &mut Vec<Wrong>) -> Option<T> {
    read.map_err(|mistake| mistakes.push(mistake)).ok()
}

fn wrong(key: &str, problem: &dyn fmt::Display) -> Wrong {
    Wrong { key: key.to_owned(), problem: problem.to_string() }
}

fn names(texts: &[String]) -> Result<Vec<Identifier>, Wrong> {
    let mut read: Vec<Identifier> = Vec::new();
    if texts.is_empty() || texts.len() > MAX_NAMES {
        return Err(wrong(
            "names",
            &format!("write 1 to {MAX_NAMES} names, like [\"example.com\", \"*.example.com\"]"),
        ));
    }
    for (at, text) in texts.iter().enumerate() {
        let name: Identifier = text.parse().map_err(|error| wrong(&format!("names.{at}"), &error))?;
        if read.contains(&name) {
            return Err(wrong(&format!("names.{at}"), &format!("{name} is there twice; name it once")));
        }
        read.push(name);
    }
    Ok(read)
}

fn mode(text: &str) -> Result<u32, Wrong> {
    let read = u32::from_str_radix(text, 8).ok().filter(|mode| mode & !0o660 == 0 && mode & 0o400 != 0);
    read.ok_or_else(|| {
        wrong("mode", &format!("{text:?} is none for a private key; write \"0600\", \"0640\" or \"0440\""))
    })
}

fn pkcs12(wanted: &file::Certificate, folder: &Path, is_built_in: bool) -> Result<Option<Pkcs12>, Wrong> {
    match (wanted.pkcs12, &wanted.pkcs12_password_file) {
        (false, None) => Ok(None),
        (true, _) if !is_built_in => Err(wrong("pkcs12", &NOT_BUILT_IN)),
        (true, Some(path)) => Ok(Some(Pkcs12 { password_file: folder.join(path) })),
        (true, None) => Err(wrong("pkcs12", &"it needs a password; name its file in `pkcs12-password-file`")),
        (false, Some(_)) => Err(wrong("pkcs12-password-file", &"it is the bundle's; add `pkcs12 = true`")),
    }
}

fn user(key: &str, text: &Option<String>) -> Result<Option<u32>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(number) = text.parse() {
        return Ok(Some(number));
    }
    let found =
        User::from_name(text).map_err(|error| wrong(key, &format!("cannot look up the user {text:?}: {error}")))?;
    found.map(|user| Some(user.uid.as_raw())).ok_or_else(|| wrong(key, &format!("this machine has no user {text:?}")))
}

fn group(key: &str, text: &Option<String>) -> Result<Option<u32>, Wrong> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(number) = text.parse() {
        return Ok(Some(number));
    }
    let found =
        Group::from_name(text).map_err(|error| wrong(key, &format!("cannot look up the group {text:?}: {error}")))?;
    found
        .map(|group| Some(group.gid.as_raw()))
        .ok_or_else(|| wrong(key, &format!("this machine has no group {text:?}")))
}

/// The primary group of a hook's user.
fn group_of(user: u32) -> Result<u32, Wrong> {
    let found = User::from_uid(user.into())
        .map_err(|error| wrong("hook-user", &format!("cannot look up the user {user}: {error}")))?;
    let none =
        || wrong("hook-user", &format!("this machine has no user {user}, hence no group of it; add `hook-group`"));
    found.map(|user| user.gid.as_raw()).ok_or_else(none)
}

fn hook(wanted: &file::Certificate) -> Result<Option<DeployHook>, Wrong> {
    let Some((program, arguments)) = wanted.hook.split_first() else { return Ok(None) };
    if !program.starts_with('/') {
        let problem =
            format!("write an absolute path, like [\"/usr/bin/systemctl\", \"reload\", \"nginx\"]; found {program:?}");
        return Err(wrong("hook.0", &problem));
    }
    let Span(timeout) = wanted.hook_timeout.parse().map_err(|error| wrong("hook-timeout", &error))?;
    if timeout.is_zero() || timeout > LONGEST_HOOK {
        return Err(wrong("hook-timeout", &"write a time from 1s to 1h"));
    }
    let user = user("hook-user", &wanted.hook_user)?;
    let group = match (group("hook-group", &wanted.hook_group)?, user) {
        // A hook that runs as another user must not keep the daemon's group.
        (None, Some(user)) => Some(group_of(user)?),
        (group, _) => group,
    };
    let owner = Ids { user, group };
    Ok(Some(DeployHook { program: program.clone(), arguments: arguments.to_vec(), timeout, owner }))
}

impl Reader<'_> {
    pub(super) fn certificates(&self, file: &file::File) -> Vec<ManagedCertificate> {
        let folder = self.folder.join(&file.database);
        let mut read: Vec<ManagedCertificate> = Vec::new();
        if file.certificate.len() > MAX_CERTIFICATES {
            let problem = format!("write at most {MAX_CERTIFICATES} of them; found {}", file.certificate.len());
            self.wrong("certificate", problem);
        }
        for (at, wanted) in file.certificate.iter().take(MAX_CERTIFICATES).enumerate() {
            let wrong = |key: &str, problem: String| self.wrong(&format!("certificate.{at}.{key}"), problem);
            let one = match ManagedCertificate::read(wanted, folder_of(&folder)) {
                Ok(one) => one,
                Err(WrongKeys(mistakes)) => {
                    mistakes.into_iter().for_each(|Wrong { key, problem }| wrong(&key, problem));
                    continue;
                }
            };
            if read.iter().any(|earlier| earlier.name == one.name) {
                let problem = format!("another certificate is called {}; give one of them another `name`", one.name);
                wrong(if wanted.name.is_some() { "name" } else { "names" }, problem);
            }
            read.push(one);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    fn parse(text: &str) -> Result<Vec<ManagedCertificate>, String> {
        let config = Config::parse(Path::new("/x/c.toml"), &format!("{ZONE}{text}"));
        config.map(|config| config.certificates).map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_is_called_by_its_first_name() {
        let read = parse("[[certificate]]\nnames = [\"*.Example.com\", \"example.com\"]\n").unwrap();
        assert_eq!((read[0].name.to_string().as_str(), read[0].mode), ("example.com", 0o600));
        assert_eq!(read[0].directory, Path::new("/x/certificates"));
        assert!(read[0].hook.is_none() && read[0].pkcs12.is_none());
    }

    #[test]
    fn a_hook_that_becomes_another_user_keeps_no_group_of_the_daemons() {
        let ids = |more: &str| {
            let hook = format!("[[certificate]]\nnames = [\"a.test.example\"]\nhook = [\"/x\"]\n{more}");
            let owner = parse(&hook).unwrap()[0].hook.as_ref().unwrap().owner;
            (owner.user, owner.group)
        };
        assert_eq!(ids("hook-user = \"4242424\"\nhook-group = \"7\"\n"), (Some(4_242_424), Some(7)));
        assert_eq!(ids("hook-user = \"0\"\n"), (Some(0), Some(0)));
        assert_eq!(ids(""), (None, None));
    }

    const PKCS12_ADVICE: &str = if IS_BUILT_IN { "pkcs12-password-file" } else { "--features pkcs12" };

    #[test]
    fn a_build_without_pkcs12_says_how_to_build_one_with_it() {
        let text = "names = [\"a.test.example\"]\npkcs12 = true\npkcs12-password-file = \"p\"\n";
        let wanted: file::Certificate = toml::from_str(text).unwrap();
        assert!(pkcs12(&wanted, Path::new("/x"), true).unwrap().is_some());
        let found = pkcs12(&wanted, Path::new("/x"), false).unwrap_err().to_string();
        assert!(found.starts_with("pkcs12: ") && found.contains("cargo build --release --features pkcs12"), "{found}");
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        let head = "[[certificate]]\nnames = [\"a.test.example\"]\n";
        for (text, place, advice) in [
            ("[[certificate]]\nnames = []\n".to_owned(), "6:9: certificate[0].names: ", "1 to 100"),
            ("[[certificate]]\nnames = [\"192.0.2.1\"]\n".to_owned(), "6:10: certificate[0].names[0]: ", "IP address"),
            (format!("{head}name = \"../x\"\n"), "7:8: certificate[0].name: ", "lower-case"),
            (format!("{head}name = \"..\"\n"), "7:8: certificate[0].name: ", "lower-case"),
            (format!("{head}mode = \"0644\"\n"), "7:8: certificate[0].mode: ", "0640"),
            (format!("{head}pkcs12 = true\n"), "7:10: certificate[0].pkcs12: ", PKCS12_ADVICE),
            (format!("{head}pkcs12-password-file = \"p\"\n"), "7:24: certificate[0].pkcs12-pass", "pkcs12 = true"),
            (format!("{head}challenge = \"http-01\"\n"), "7:13: certificate[0].challenge: ", "dns-persist-01"),
            (format!("{head}owner = \"nobody-of-that-name\"\n"), "7:9: certificate[0].owner: ", "no user"),
            (format!("{head}hook = [\"reload\"]\n"), "7:9: certificate[0].hook[0]: ", "/usr/bin/systemctl"),
            (format!("{head}hook = [\"/x\"]\nhook-timeout = \"2h\"\n"), "8:16: certificate[0].hook-timeout: ", "1h"),
            (
                format!("{head}hook = [\"/x\"]\nhook-user = \"4242424\"\n"),
                "8:13: certificate[0].hook-user: ",
                "add `hook-group`",
            ),
            (format!("{head}{head}"), "8:9: certificate[1].names: ", "another `name`"),
        ] {
            let found = parse(&text).expect_err(&text);
            assert!(found.starts_with(&format!("/x/c.toml:{place}")) && found.contains(advice), "{text:?}: {found}");
        }
    }
}
