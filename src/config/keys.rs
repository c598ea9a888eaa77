//! The names of all keys, and the nearest one to a name that is none.
//!
//! They come from the shipped `config.toml`, which has every key; a test holds it equal to the types.

use toml::{Table, Value};

/// The shipped configuration, which the program holds.
pub const SHIPPED: &str = include_str!("../../config.toml");
/// How alike two names must be for one to be suggested for the other, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The shipped file with its commented-out keys switched on.
pub fn shipped() -> Table {
    let lines = SHIPPED.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line));
    // invariant: a test reads this text as TOML
    lines.collect::<Vec<_>>().join("\n").parse().unwrap_or_default()
}

fn is_key(line: &str) -> bool {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| is_name(key))
}

/// The keys that have a value, as `dns.listen` or `zone.name`, without the indexes of lists.
pub fn known() -> Vec<String> {
    let mut found = Vec::new();
    collect("", &shipped(), &mut found);
    found
}

fn collect(prefix: &str, table: &Table, found: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => collect(&format!("{name}."), inner, found),
            Value::Array(items) if items.iter().any(Value::is_table) => {
                items.iter().filter_map(Value::as_table).for_each(|inner| collect(&format!("{name}."), inner, found));
            }
            _ => found.push(name),
        }
    }
}

/// A key without the indexes of lists: `zone.0.name` is `zone.name`.
pub fn without_indexes(key: &str) -> String {
    let steps: Vec<&str> = key.split('.').filter(|step| step.parse::<usize>().is_err()).collect();
    steps.join(".")
}

/// The known keys that somebody meant with an unknown one, best first: those of the same name in another table, else the
/// one that is spelled most alike in the same table, else in any.
pub fn meant(unknown: &str) -> Vec<String> {
    let unknown = without_indexes(unknown);
    let (table, last) = unknown.rsplit_once('.').unwrap_or(("", &unknown));
    let mut keys = known();
    keys.extend(tables());
    let namesakes: Vec<String> = keys.iter().filter(|key| last_step(key) == last).cloned().collect();
    if !namesakes.is_empty() {
        return namesakes;
    }
    let siblings: Vec<&String> = keys.iter().filter(|key| table_of(key) == table).collect();
    let found = nearest(last, siblings.iter().map(|key| last_step(key)));
    let at = |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
    let found = found.map(at).or_else(|| nearest(&unknown, keys.iter().map(String::as_str)).map(str::to_owned));
    found.into_iter().collect()
}

/// The names of tables.
fn tables() -> Vec<String> {
    let mut found: Vec<String> = known().iter().filter_map(|key| Some(key.rsplit_once('.')?.0.to_owned())).collect();
    found.dedup();
    found
}

/// The table that a key is in; empty for those above all tables.
pub fn table_of(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(table, _)| table)
}

pub fn last_step(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The candidate that is spelled most alike, if any is alike enough.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|name| (strsim::normalized_damerau_levenshtein(wrong, name), name));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_shipped_file_is_known() {
        let keys = known();
        for key in ["database", "dns.listen", "api.tls.mode", "zone.name", "certificate.hook-timeout", "api.key"] {
            assert!(keys.iter().any(|known| known == key), "{key} in {keys:?}");
        }
    }

    #[test]
    fn the_nearest_key_is_meant() {
        for (wrong, meant_first) in [
            ("databas", "database"),
            ("dns.thread", "dns.threads"),
            ("dns.lisen", "dns.listen"),
            ("zone.0.nameserver", "none"),
            ("zone.0.negative_ttl", "zone.negative-ttl"),
            ("api.terms-agreed", "acme.terms-agreed"),
            ("certificates", "certificate"),
            ("zzz", "none"),
        ] {
            let found = meant(wrong);
            assert_eq!(found.first().map_or("none", String::as_str), meant_first, "{wrong}: {found:?}");
        }
    }
}
