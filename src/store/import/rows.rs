//! The rows of a source, and the accounts that they make.

use std::collections::HashMap;

use crate::model::account::AllowFrom;
use crate::model::name::owner_label::SubdomainError;
use crate::model::secret::ApiKeyHash;
use crate::model::time::Timestamp;
use crate::model::txt::TxtValue;

use super::contents::{Contents, ForeignAccount, Left};

/// The rows of a source, not yet parsed.
#[derive(Debug, Default)]
pub struct Rows {
    pub records: Vec<RecordRow>,
    /// Values and Unix seconds, by subdomain.
    values: HashMap<String, Vec<(String, i64)>>,
}

/// A row of `records`.
#[derive(Debug)]
pub struct RecordRow {
    pub username: String,
    pub password: String,
    pub subdomain: String,
    pub allow_from: Option<String>,
    /// Unix seconds.
    pub created: Option<i64>,
}

impl Rows {
    /// Adds a row of `txt`, or a value of version 0. Both have empty values, which are none.
    pub fn add_value(&mut self, subdomain: String, value: String, published: Option<i64>) {
        if !value.is_empty() {
            self.values.entry(subdomain).or_default().push((value, published.unwrap_or(0)));
        }
    }

    pub fn parsed(mut self) -> Contents {
        let mut contents = Contents::default();
        self.records.sort_unstable_by(|one, other| one.username.cmp(&other.username));
        for record in &self.records {
            let values = self.values.remove(&record.subdomain).unwrap_or_default();
            let values = values_of(record, values, &mut contents.left);
            match record.parsed(values) {
                Ok(account) => contents.accounts.push(account),
                Err(why) => contents.left.push(Left::new(record.what(), why)),
            }
        }
        let mut orphans: Vec<String> = self.values.into_keys().collect();
        orphans.sort_unstable();
        for subdomain in orphans {
            let what = format!("values of {}", quoted(&subdomain));
            contents.left.push(Left::new(what, "no account has this subdomain"));
        }
        contents
    }
}

impl RecordRow {
    fn parsed(&self, values: Vec<(TxtValue, Timestamp)>) -> Result<ForeignAccount, String> {
        let username = self.username.parse().map_err(|_| "its username is not a UUID".to_owned())?;
        let key = match unescaped(&self.password).parse() {
            Ok(key @ ApiKeyHash::Bcrypt(_)) => key,
            // The text may be a hash of another kind, and is not repeated.
            _ => return Err("its password is not a bcrypt hash of 60 characters".into()),
        };
        let subdomain = self.subdomain.parse().map_err(|error: SubdomainError| error.to_string())?;
        let created = self.created.and_then(timestamp);
        Ok(ForeignAccount { username, key, subdomain, allow_from: self.allow_from()?, created, values })
    }

    /// A list with an error must not become an empty one, which lets everybody in.
    fn allow_from(&self) -> Result<AllowFrom, String> {
        let text = self.allow_from.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let Some(text) = text else { return Ok(AllowFrom::default()) };
        let list: Option<Vec<String>> =
            serde_json::from_str(text).map_err(|error| format!("its networks are not a JSON list: {error}"))?;
        AllowFrom::parse(&list.unwrap_or_default()).map_err(|error| format!("its networks: {error}"))
    }

    fn what(&self) -> String {
        format!("account {} with the subdomain {}", quoted(&self.username), quoted(&self.subdomain))
    }
}

/// The valid values, newest first, each once. The others go to `left`.
fn values_of(record: &RecordRow, raw: Vec<(String, i64)>, left: &mut Vec<Left>) -> Vec<(TxtValue, Timestamp)> {
    let mut values: Vec<(TxtValue, Timestamp)> = Vec::with_capacity(raw.len());
    for (text, published) in raw {
        match (text.parse::<TxtValue>(), timestamp(published)) {
            (Ok(txt), Some(published)) => values.push((txt, published)),
            (Ok(_), None) => left.push(Left::new(format!("a value of {}", record.what()), "it has no time")),
            (Err(error), _) => left.push(Left::new(format!("a value of {}", record.what()), error)),
        }
    }
    values.sort_by_key(|(_, published)| std::cmp::Reverse(*published));
    let mut seen = Vec::with_capacity(values.len());
    values.retain(|(txt, _)| {
        !seen.contains(txt) && {
            seen.push(*txt);
            true
        }
    });
    values
}

/// acme-dns writes 0 for "never".
fn timestamp(seconds: i64) -> Option<Timestamp> {
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Timestamp::from_unix)
}

/// The text of bytes that PostgreSQL has written as hex: `\x2432612431...`. Any other text stays as it is.
fn unescaped(text: &str) -> String {
    let Some(hex) = text.strip_prefix("\\x") else { return text.to_owned() };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(hex_byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A text of the source on one line, cut after 80 characters.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let is_plain = short == text && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { short } else { format!("{short:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2a$10$8JEFVNYYhLoBysjAxe2yBuXrkDojBQBkVpXEQgyQyjn43SvJ4vL36";
    const USER: &str = "c36f50e8-4632-44f0-83fe-e070fef28a10";
    const TXT: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";

    fn record() -> RecordRow {
        RecordRow {
            username: USER.into(),
            password: HASH.into(),
            subdomain: "Shop".into(),
            allow_from: Some("[\"192.0.2.0/24\"]".into()),
            created: None,
        }
    }

    fn parsed(records: Vec<RecordRow>, values: &[(&str, &str, i64)]) -> Contents {
        let mut raw = Rows { records, ..Rows::default() };
        values.iter().for_each(|(at, value, time)| raw.add_value((*at).into(), (*value).into(), Some(*time)));
        raw.parsed()
    }

    #[test]
    fn an_account_keeps_what_it_had() {
        let newer = TXT.replace('8', "9");
        let contents =
            parsed(vec![record()], &[("Shop", TXT, 5), ("Shop", &newer, 7), ("Shop", TXT, 6), ("Shop", "", 0)]);
        let [account] = &contents.accounts[..] else { panic!("{contents:?}") };
        assert_eq!((account.username.to_string().as_str(), account.subdomain.as_str()), (USER, "shop"));
        assert_eq!(account.key.as_str(), HASH);
        assert_eq!(account.allow_from.networks().len(), 1);
        let values: Vec<_> = account.values.iter().map(|(txt, at)| (txt.as_str(), at.as_unix())).collect();
        assert_eq!(values, [(newer.as_str(), 7), (TXT, 6)]);
        assert_eq!(contents.left, []);
    }

    #[test]
    fn bytes_that_postgresql_shows_as_hex_are_read() {
        let hex: String = HASH.bytes().map(|byte| format!("{byte:02x}")).collect();
        let contents = parsed(vec![RecordRow { password: format!("\\x{hex}"), ..record() }], &[]);
        assert_eq!(contents.accounts[0].key.as_str(), HASH);
        assert_eq!(unescaped("\\xzz"), "\\xzz");
        assert_eq!(unescaped("\\xé"), "\\xé");
    }

    #[test]
    fn no_list_of_networks_is_everywhere_and_a_broken_one_is_nowhere() {
        for none in [None, Some(""), Some("[]"), Some("null")] {
            let record = RecordRow { allow_from: none.map(str::to_owned), ..record() };
            assert_eq!(parsed(vec![record], &[]).accounts[0].allow_from, AllowFrom::default(), "{none:?}");
        }
        for broken in ["{}", "[1]", "[\"192.0.2.1\"]", "[\"192.0.2.0/24\", \"\"]", "192.0.2.0/24"] {
            let contents = parsed(vec![RecordRow { allow_from: Some(broken.into()), ..record() }], &[]);
            assert!(
                contents.accounts.is_empty() && contents.left[0].why.contains("networks"),
                "{broken}: {contents:?}"
            );
        }
    }

    #[test]
    fn what_stays_behind_is_named_with_its_reason() {
        let contents = parsed(
            vec![
                RecordRow { username: "somebody\n".into(), ..record() },
                RecordRow { password: "$argon2id$secret".into(), ..record() },
                RecordRow { subdomain: "a.b".into(), ..record() },
                record(),
            ],
            &[("Shop", "short", 5), ("gone", TXT, 5), ("Shop", TXT, 0)],
        );
        let left: Vec<String> = contents.left.iter().map(ToString::to_string).collect();
        for part in ["somebody\\n", "not a bcrypt hash", "\"a.b\"", "43 characters", "values of gone", "no time"] {
            assert!(left.iter().any(|line| line.contains(part) && !line.contains('\n')), "{part} in {left:#?}");
        }
        assert!(!left.concat().contains("argon2id"));
        assert_eq!((contents.accounts.len(), left.len()), (1, 6));
    }
}
