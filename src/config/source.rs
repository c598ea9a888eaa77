//! Which configuration is meant, and the rule by which a file is trusted that nobody has named.
//!
//! Commands find the machine's daemon by the machine's configuration. A file of the current folder would lead them to
//! another database wherever somebody happens to stand, so only `serve` takes one, and says so first.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::environment::{CONFIG, Environment};
use super::error::ConfigError;
use super::{Config, Places};

/// The machine's configuration.
pub const SYSTEM: &str = "/etc/txtgate/config.toml";
/// That of the current folder.
const LOCAL: &str = "config.toml";

type Result<T> = std::result::Result<T, ConfigError>;

/// Where a configuration is read from, as often as the daemon reloads.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    File(PathBuf),
    /// Standard input, which can be read once.
    Input(String),
    /// The environment alone.
    Environment,
}

impl ConfigSource {
    /// The one that is named by `--config` or by `TXTGATE_CONFIG`; `-` is standard input.
    pub fn named(option: Option<PathBuf>) -> Result<Option<Self>> {
        let variable = || std::env::var_os(CONFIG).filter(|value| !value.is_empty()).map(PathBuf::from);
        let Some(path) = option.or_else(variable) else { return Ok(None) };
        if path != Path::new("-") {
            return Ok(Some(Self::File(path)));
        }
        let mut text = String::new();
        match std::io::stdin().read_to_string(&mut text) {
            Ok(_) => Ok(Some(Self::Input(text))),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// The one of `serve`: that of the current folder, the machine's, the environment's.
    pub fn of_daemon() -> Result<Self> {
        if let Some(path) = present(LOCAL)? {
            return Ok(Self::File(path));
        }
        if let Some(path) = present(SYSTEM)? {
            return Ok(Self::File(path));
        }
        if Environment::of_process().sets_any() {
            return Ok(Self::Environment);
        }
        let problem = format!("no configuration: there is neither ./{LOCAL} nor {SYSTEM}; name one with --config FILE");
        Err(ConfigError::NotFound(problem))
    }

    /// The one of all other commands: the machine's, or the environment's.
    pub fn of_commands() -> Result<Self> {
        if let Some(path) = present(SYSTEM)? {
            return Ok(Self::File(path));
        }
        if Environment::of_process().sets_any() {
            return Ok(Self::Environment);
        }
        Err(ConfigError::NotFound(unnamed()))
    }

    /// The one that `config check` looks at where none is named: the machine's, else the one that `serve` would take.
    pub fn of_check() -> Result<Self> {
        match present(SYSTEM)? {
            Some(path) => Ok(Self::File(path)),
            None => Self::of_daemon(),
        }
    }

    /// The one of `rehearse`: the machine's, that of the current folder, the environment's; `None` where there is none.
    pub fn of_rehearsal() -> Result<Option<Self>> {
        for path in [SYSTEM, LOCAL] {
            if let Some(path) = present(path)? {
                return Ok(Some(Self::File(path)));
            }
        }
        Ok(Environment::of_process().sets_any().then_some(Self::Environment))
    }

    /// Reads and checks it, and the environment.
    pub fn load(&self) -> Result<Config> {
        self.load_with_places().map(|(config, _)| config)
    }

    /// The same, with the places of the keys.
    pub fn load_with_places(&self) -> Result<(Config, Places)> {
        let environment = Environment::of_process();
        match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
                Config::parse_in_places(path, &text, &environment)
            }
            Self::Input(text) => Config::parse_in_places(Path::new("-"), text, &environment),
            Self::Environment => Config::parse_in_places(Path::new("the environment"), "", &environment),
        }
    }

    /// What it is, for a message.
    pub fn described(&self) -> String {
        match self {
            Self::File(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
            Self::Input(_) => "standard input".into(),
            Self::Environment => "the environment".into(),
        }
    }
}

/// The file, if there is one; an error where it is not to be trusted without being named.
fn present(path: &str) -> Result<Option<PathBuf>> {
    let path = PathBuf::from(path);
    // Something that cannot be looked at is there: reading it says why not.
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Ok(None);
    }
    match untrusted(&path) {
        Some(why) => Err(ConfigError::NotFound(format!(
            "{} is not used, because {why}; if it is the right one, name it: `{}`",
            shown(&path),
            typed_with(&path)
        ))),
        None => Ok(Some(path)),
    }
}

/// Why a file is not trusted: somebody else could have written it, and it names programs to run and files to write.
fn untrusted(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let me = Uid::effective();
    let places = [real.as_path(), real.parent()?];
    places.into_iter().find_map(|place| {
        let found = place.metadata().ok()?;
        let owner = Uid::from_raw(found.uid());
        if owner != me && !owner.is_root() {
            return Some(format!("{} belongs to another user ({owner})", place.display()));
        }
        is_open(&found, me).then(|| format!("others can write {}", place.display()))
    })
}

/// Whether others can write it. A group may, where it is root's or where this is not root: many users have a group of
/// their own.
fn is_open(found: &Metadata, me: Uid) -> bool {
    let of_group = found.mode() & 0o020 != 0 && me.is_root() && found.gid() != 0;
    found.mode() & 0o002 != 0 || of_group
}

/// What a command says that finds no configuration.
fn unnamed() -> String {
    let local = Path::new(LOCAL);
    let advice = if local.exists() {
        format!("for the daemon of this folder, type `{}`", typed_with(local))
    } else {
        "name the one of your daemon with --config FILE".into()
    };
    format!("there is no {SYSTEM}, by which commands find the daemon; {advice}")
}

fn shown(path: &Path) -> String {
    if path.is_absolute() { path.display().to_string() } else { format!("./{}", path.display()) }
}

/// The command as it was typed, with the option that names a configuration.
fn typed_with(path: &Path) -> String {
    let words: Vec<OsString> = std::env::args_os().collect();
    let quoted = |word: &OsString| {
        let word = word.to_string_lossy();
        let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c)) && !word.is_empty();
        if is_plain { word.into_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let mut typed: Vec<String> = words.iter().map(quoted).collect();
    typed.insert(typed.len().min(1), format!("-c {}", shown(path)));
    typed.join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_not_trusted_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(&path, 0o644);
        assert_eq!(untrusted(&path), None);
        for (file, dir) in [(0o646, 0o755), (0o644, 0o777), (0o644, 0o1777)] {
            mode(&path, file);
            mode(folder.path(), dir);
            assert!(untrusted(&path).is_some_and(|why| why.contains("others can write")), "{file:o} {dir:o}");
        }
        mode(folder.path(), 0o755);
        let link = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&path, link.path().join("config.toml")).unwrap();
        mode(&path, 0o666);
        assert!(untrusted(&link.path().join("config.toml")).is_some(), "the file that a link leads to counts");
    }
}
