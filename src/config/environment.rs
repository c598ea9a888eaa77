//! Settings from the environment: `TXTGATE_API__LISTEN` is `listen` of `[api]`.
//!
//! A key's variable is its name in capitals after `TXTGATE_`, with `__` between table and key and `_` for `-`. Entries of
//! `[[zone]]` and `[[certificate]]` are numbered from 0: `TXTGATE_ZONE__0__NAME`. Lists have commas between their items. A
//! variable goes before the file. With `_FILE` behind its name, a variable names a file that holds the value.

use std::path::Path;

use super::error::Mistake;
use super::keys;
use super::tree::{Node, Place};

const PREFIX: &str = "TXTGATE_";
/// The variable that names the configuration file.
pub const CONFIG: &str = "TXTGATE_CONFIG";

/// Variables of other parts: of `txtgate hook`, and those that deploy hooks get.
const OTHERS: [&str; 17] = [
    CONFIG,
    "TXTGATE_SERVER",
    "TXTGATE_ACCOUNTS",
    "TXTGATE_CA",
    "TXTGATE_REGISTRATION_SECRET",
    "TXTGATE_ALLOWFROM",
    "TXTGATE_WAIT",
    "TXTGATE_RESOLVER",
    "TXTGATE_ALLOW_HTTP",
    "TXTGATE_CERT_NAME",
    "TXTGATE_CERT_NAMES",
    "TXTGATE_CERT_SERIAL",
    "TXTGATE_CERT_NOT_AFTER",
    "TXTGATE_LIVE",
    "TXTGATE_FULLCHAIN",
    "TXTGATE_PRIVKEY",
    "TXTGATE_PKCS12",
];

/// The tables of which there may be several, so that variables number them.
const LISTS: [&str; 3] = ["zone", "secondary", "certificate"];

/// The variables whose names begin with `TXTGATE_`, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// Those of the process. A value that is not UTF-8 is read with replacement characters, which no key accepts.
    pub fn of_process() -> Self {
        let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self::new(all.map(|(name, value)| (name, value.to_string_lossy().into_owned())))
    }

    /// Those among `variables`.
    pub fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let is_ours = |name: &str| name.starts_with(PREFIX) && !is_of_others(name);
        let mut ours: Vec<_> = variables.filter(|(name, _)| is_ours(name)).collect();
        ours.sort();
        Self(ours)
    }

    /// Whether a variable sets a key.
    pub fn sets_any(&self) -> bool {
        let known = keys::known();
        self.0.iter().any(|(name, _)| is_known(&key_of(name), &known) || file_key(name, &known).is_some())
    }

    /// Puts the values into the tree. Returns mistakes, and names that mean nothing here, which are not mistakes.
    pub(super) fn lay_over(&self, tree: &mut Node) -> (Vec<Mistake>, Vec<String>) {
        let known = if self.0.is_empty() { Vec::new() } else { keys::known() };
        let (mut mistakes, mut ignored) = (Vec::new(), Vec::new());
        for (name, value) in &self.0 {
            let place = Place::Variable(name.clone());
            let key = key_of(name);
            let set = if is_known(&key, &known) {
                tree.set(&key, value, &place).map_err(|problem| (key, problem))
            } else if let Some(key) = file_key(name, &known) {
                let read = text_of(Path::new(value)).and_then(|text| tree.set(&key, &text, &place));
                read.map_err(|problem| (key, problem))
            } else {
                match unknown(name, &known) {
                    Some(problem) => Err((key, problem)),
                    None => {
                        ignored.push(format!(
                            "the environment variable {name} is ignored: the configuration has no such key"
                        ));
                        Ok(())
                    }
                }
            };
            if let Err((key, problem)) = set {
                mistakes.push(Mistake { key, place: Some(place), problem });
            }
        }
        (mistakes, ignored)
    }
}

/// The key of a variable: `zone.0.negative-ttl` for `TXTGATE_ZONE__0__NEGATIVE_TTL`.
fn key_of(name: &str) -> String {
    let steps = name.strip_prefix(PREFIX).unwrap_or(name).split("__");
    steps.map(|step| step.to_ascii_lowercase().replace('_', "-")).collect::<Vec<_>>().join(".")
}

/// The variable of a key. `N` stands for the number of an entry.
pub(super) fn variable_of(key: &str) -> String {
    let numbered = LISTS.iter().find_map(|list| {
        let rest = key.strip_prefix(list)?.strip_prefix('.')?;
        Some(format!("{list}.N.{rest}")).filter(|_| !rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let key = numbered.as_deref().unwrap_or(key);
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_").replace('.', "__"))
}

fn is_known(key: &str, known: &[String]) -> bool {
    let has_number = key.split('.').any(|step| step.parse::<usize>().is_ok());
    let plain = keys::without_indexes(key);
    let wants_number = plain.split_once('.').is_some_and(|(list, _)| LISTS.contains(&list));
    (has_number || !wants_number) && known.contains(&plain)
}

/// The key whose value the variable's file holds: `registration-secrets` of `TXTGATE_API__REGISTRATION_SECRETS_FILE`,
/// unless there is a key `registration-secrets-file`.
fn file_key(name: &str, known: &[String]) -> Option<String> {
    let key = key_of(name.strip_suffix("_FILE")?);
    is_known(&key, known).then_some(key)
}

fn text_of(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// What is wrong with a variable that sets no key; `None` where nothing says that it was meant for the configuration.
fn unknown(name: &str, known: &[String]) -> Option<String> {
    let flat = |name: &str| name.replace("__", "_");
    let variables: Vec<String> = known.iter().map(|key| variable_of(key)).collect();
    let exact = variables.iter().find(|variable| flat(variable) == flat(name));
    let meant = exact.map(String::as_str).or_else(|| keys::nearest(name, variables.iter().map(String::as_str)));
    match meant {
        Some(meant) if exact.is_some() || name.contains("__") || is_nearly(name, meant) => {
            Some(format!("there is no such key; did you mean {meant}?"))
        }
        _ if name.contains("__") => Some("there is no such key; docs/configuration.md has all keys".into()),
        _ => None,
    }
}

/// Whether one or two characters differ.
fn is_nearly(name: &str, meant: &str) -> bool {
    strsim::damerau_levenshtein(name, meant) <= 2
}

/// Kubernetes describes each service of a namespace in the environment, also one that is called `txtgate`.
fn is_of_others(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let is_port = rest.strip_prefix("PORT").or_else(|| rest.split_once("_PORT").map(|(_, rest)| rest));
    let is_port = is_port.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    let is_service = rest.starts_with("SERVICE_") || rest.contains("_SERVICE_");
    OTHERS.contains(&name) || rest.starts_with("TEST_") || ((is_port || is_service) && !name.contains("__"))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let read = Config::parse_with(Path::new("/x/c.toml"), text, &Environment::new(variables));
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn lists_booleans_and_numbers_come_from_the_environment() {
        let config = with(
            &format!("[dns]\nthreads = 3\n{ZONE}"),
            &[
                ("TXTGATE_DNS__LISTEN", "127.0.0.1:1053, [::1]:1053"),
                ("TXTGATE_DNS__TSIG_MD5", "true"),
                ("TXTGATE_DNS__THREADS", "5"),
                ("TXTGATE_API__TLS__MODE", "acme"),
                ("TXTGATE_RESOLVERS", "[\"192.0.2.53\"]"),
                ("TXTGATE_ZONE__0__TXT_TTL", "7"),
                ("TXTGATE_ZONE__1__NAME", "auth.example.com"),
                ("TXTGATE_ZONE__1__NS", "ns1.example.org,ns2.example.org"),
                ("TXTGATE_ZONE__1__CONTACT", "a@example.org"),
                ("TXTGATE_ACME__PROFILE", ""),
            ],
        )
        .unwrap();
        assert_eq!((config.dns.listen.len(), config.dns.tsig_md5, config.dns.threads), (2, true, 5));
        assert!(config.api.tls.is_some() && config.acme.profile.is_none());
        assert_eq!((config.resolvers.len(), config.zones[0].txt_ttl), (1, 7));
        assert_eq!(config.zones[1].nameservers.len(), 2);
    }

    #[test]
    fn an_unknown_variable_is_named_with_the_one_that_is_meant() {
        for (name, meant) in [
            ("TXTGATE_API_LISTEN", "did you mean TXTGATE_API__LISTEN?"),
            ("TXTGATE_API__LISTN", "did you mean TXTGATE_API__LISTEN?"),
            ("TXTGATE_DATABSE", "did you mean TXTGATE_DATABASE?"),
            ("TXTGATE_ZONE__NAME", "did you mean TXTGATE_ZONE__N__NAME?"),
            ("TXTGATE_ZZZ__YYY", "docs/configuration.md"),
        ] {
            let said = with(ZONE, &[(name, "x")]).expect_err(name);
            assert!(said.contains(&format!("{name}: ")) && said.contains(meant), "{name}: {said}");
        }
        let others =
            ["TXTGATE_PORT", "TXTGATE_SERVICE_HOST", "TXTGATE_API_PORT_443_TCP", "TXTGATE_SERVER", "TXTGATE_LIVE"];
        let config = with(ZONE, &others.map(|name| (name, "x"))).unwrap();
        assert!(config.notes.is_empty(), "{:?}", config.notes);
        assert!(with(ZONE, &[("TXTGATE_URL", "x")]).unwrap().notes[0].contains("TXTGATE_URL"));
    }

    #[test]
    fn a_wrong_value_names_its_variable() {
        for (name, value, said) in [
            ("TXTGATE_DNS__THREADS", "many", "TXTGATE_DNS__THREADS: dns.threads: found \"many\"; write a whole number"),
            ("TXTGATE_DNS__TSIG_MD5", "yes", "write true or false"),
            ("TXTGATE_DNS__LISTEN", "x", "TXTGATE_DNS__LISTEN: dns.listen: write address:port"),
            ("TXTGATE_ZONE__5__NAME", "x", "there is no entry 4"),
            ("TXTGATE_DNS__NSID_FILE", "/no/such", "cannot read /no/such"),
            ("TXTGATE_DNS__THREADS", "9999", "TXTGATE_DNS__THREADS: dns.threads: must be from 0 to 256"),
        ] {
            let found = with(ZONE, &[(name, value)]).expect_err(name);
            assert!(found.contains(said), "{name}: {found}");
        }
    }

    #[test]
    fn a_value_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nsid");
        std::fs::write(&file, "ns1.test\n").unwrap();
        let config = with(ZONE, &[("TXTGATE_DNS__NSID_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(config.dns.nsid, "ns1.test");
    }
}
