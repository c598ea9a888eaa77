//! `[[zone]]`: the zones that the daemon answers for.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::name::{Name, ZoneName};
use crate::zone::soa::{Contact, Soa};
use crate::zone::zonefile::StaticRecords;

use super::read::Reader;
use super::{Dnssec, ZoneSettings, file};

/// The most lines with mistakes that are looked for in one zone's records.
const MOST_LINES: usize = 50;

impl Reader<'_> {
    pub(super) fn zones(&self, zones: &[file::Zone]) -> Vec<ZoneSettings> {
        if zones.is_empty() {
            self.wrong("zone", "there is no zone to answer for; add `[[zone]]` with `name`, `ns` and `contact`");
        }
        let mut read: Vec<ZoneSettings> = Vec::new();
        let mut earlier = EarlierZones::default();
        for (index, zone) in zones.iter().enumerate() {
            let Some(settings) = self.zone(index, zone) else { continue };
            let key = format!("zone.{index}.name");
            let name = &settings.name;
            if earlier.has(name) {
                self.wrong(&key, format!("the zone {name} is there twice; remove one of the two"));
            } else if let Some(other) = earlier.nested_with(name) {
                let problem = format!("{name} and {other} are nested; use names of which neither is in the other");
                self.wrong(&key, problem);
            }
            if let Some(dnssec) = &settings.dnssec
                && let Some(other) = earlier.with_key(&dnssec.key)
            {
                let file = dnssec.key.display();
                let problem = format!("the zone {other} has the key file {file}; each zone needs its own");
                self.wrong(&format!("zone.{index}.dnssec-key"), problem);
            }
            earlier.add(&settings);
            read.push(settings);
        }
        read
    }

    fn zone(&self, index: usize, zone: &file::Zone) -> Option<ZoneSettings> {
        let key = |name: &str| format!("zone.{index}.{name}");
        self.timers(index, zone);
        let name: Option<ZoneName> = self.given(&key("name"), &zone.name, "the name of the delegated zone");
        let nameservers = self.nameservers(index, zone);
        let contact: Option<Contact> =
            self.given(&key("contact"), &zone.contact, "the mail address of who answers for it");
        if !zone.contact.is_empty() && !zone.contact.contains(['@', '.']) {
            let problem = format!("write a mail address like \"hostmaster@example.org\"; found {:?}", zone.contact);
            self.wrong(&key("contact"), problem);
        }
        let name = name?;
        let statics = self.statics(index, zone, &name, &nameservers);
        let soa = Soa {
            mname: nameservers.first().cloned()?,
            rname: contact?.0,
            refresh: zone.refresh,
            retry: zone.retry,
            expire: zone.expire,
            negative_ttl: zone.negative_ttl,
        };
        let dnskey_ttl = zone.dnskey_ttl;
        let dnssec = zone.dnssec_key.as_ref().map(|key| Dnssec { key: self.folder.join(key), dnskey_ttl });
        let txt_ttl = zone.txt_ttl;
        let transfer = zone.transfer;
        Some(ZoneSettings { name, nameservers, soa, txt_ttl, statics, dnssec, transfer })
    }

    /// A value that has no default.
    fn given<T: FromStr<Err: Display>>(&self, key: &str, text: &str, what: &str) -> Option<T> {
        if text.is_empty() {
            let last = key.rsplit('.').next().unwrap_or(key);
            self.wrong(key, format!("`{last}` is missing; write {what}"));
            return None;
        }
        self.take(key, text.parse().map_err(|error: T::Err| format!("{text:?}: {error}")))
    }

    fn timers(&self, index: usize, zone: &file::Zone) {
        for (name, found, least, most) in [
            ("refresh", zone.refresh, 60, 604_800),
            ("retry", zone.retry, 60, 604_800),
            ("expire", zone.expire, 3_600, 31_536_000),
            ("negative-ttl", zone.negative_ttl, 0, 3_600),
            ("txt-ttl", zone.txt_ttl, 0, 3_600),
            ("dnskey-ttl", zone.dnskey_ttl, 1, 3_600),
        ] {
            self.in_range(&format!("zone.{index}.{name}"), u64::from(found), least, most);
        }
    }

    fn nameservers(&self, index: usize, zone: &file::Zone) -> Vec<Name> {
        let key = format!("zone.{index}.ns");
        if zone.ns.is_empty() {
            self.wrong(&key, "`ns` is missing or empty; name the nameservers that the parent zone delegates to");
        }
        let mut read: Vec<Name> = Vec::new();
        for (at, text) in zone.ns.iter().enumerate() {
            let key = format!("{key}.{at}");
            let Some(name) = self.take(&key, text.parse::<Name>().map_err(|error| format!("{text:?}: {error}"))) else {
                continue;
            };
            if read.contains(&name) {
                self.wrong(&key, format!("the nameserver {name} is there twice; name each once"));
            }
            read.push(name);
        }
        read
    }

    /// The static records. A line with a mistake is left out, and the others are looked at.
    fn statics(&self, index: usize, zone: &file::Zone, name: &ZoneName, nameservers: &[Name]) -> StaticRecords {
        let key = format!("zone.{index}.records");
        let mut lines: Vec<&str> = zone.records.lines().collect();
        for _ in 0..=MOST_LINES {
            match StaticRecords::parse(name, nameservers, &lines.join("\n")) {
                Ok(statics) => {
                    self.has_addresses(index, &statics, name, nameservers);
                    return statics;
                }
                Err(error) => {
                    let line = lines.get_mut(error.line - 1).filter(|line| !line.is_empty());
                    let shown = line.as_deref().map(|line| format!("{:?}: ", line.trim())).unwrap_or_default();
                    self.wrong_line(&key, error.line, &format!("{shown}{}", error.problem));
                    let Some(line) = line else { break };
                    *line = "";
                }
            }
        }
        StaticRecords::default()
    }

    fn has_addresses(&self, index: usize, statics: &StaticRecords, name: &ZoneName, nameservers: &[Name]) {
        let records = format!("zone.{index}.records");
        if let Some(ns) = statics.without_address(name, nameservers)
            && !self.has_mistake_at(&records)
        {
            let problem = format!("{ns} is in the zone and has no address; add `{ns}. A <address>` to `records`");
            self.wrong(&format!("zone.{index}.ns"), problem);
        }
    }
}

/// The zones before one, by what no two may share. There may be a hundred thousand.
#[derive(Debug, Default)]
struct EarlierZones {
    names: HashMap<Name, ZoneName>,
    /// A zone below each name that one is below.
    above: HashMap<Name, ZoneName>,
    /// The file of a zone's keys, which two zones would overwrite for each other.
    keys: HashMap<PathBuf, ZoneName>,
}

impl EarlierZones {
    fn has(&self, name: &ZoneName) -> bool {
        self.names.contains_key(name.apex())
    }

    /// A zone above or below. Each zone is answered as a whole; one below another would need a delegation in it.
    fn nested_with(&self, name: &ZoneName) -> Option<&ZoneName> {
        let above = ancestors(name).find_map(|ancestor| self.names.get(&ancestor));
        above.or_else(|| self.above.get(name.apex()))
    }

    fn with_key(&self, file: &Path) -> Option<&ZoneName> {
        self.keys.get(file)
    }

    fn add(&mut self, zone: &ZoneSettings) {
        for ancestor in ancestors(&zone.name) {
            self.above.entry(ancestor).or_insert_with(|| zone.name.clone());
        }
        if let Some(dnssec) = &zone.dnssec {
            self.keys.entry(dnssec.key.clone()).or_insert_with(|| zone.name.clone());
        }
        self.names.entry(zone.name.apex().clone()).or_insert_with(|| zone.name.clone());
    }
}

fn ancestors(name: &ZoneName) -> impl Iterator<Item = Name> {
    std::iter::successors(name.apex().parent(), Name::parent)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    fn error(text: &str) -> String {
        Config::parse(Path::new("c.toml"), text).expect_err(text).to_string()
    }

    #[test]
    fn a_bad_record_names_its_line_in_the_file() {
        let text = format!("# first\n{ZONE}records = \"\"\"\nwww A 192.0.2.1\nbad A 1.2.3\n\"\"\"\n");
        assert!(error(&text).starts_with("c.toml:8:1: zone[0].records: "), "{}", error(&text));
    }

    #[test]
    fn a_nameserver_in_the_zone_needs_an_address() {
        let text = ZONE.replace("ns1.example.org", "ns1.auth.example.org");
        assert!(error(&text).starts_with("c.toml:3:6: zone[0].ns: "), "{}", error(&text));
        let text = format!("{text}records = \"ns1 AAAA 2001:db8::1\"\n");
        assert!(Config::parse(Path::new("c.toml"), &text).is_ok());
    }

    #[test]
    fn a_contact_is_an_address() {
        let text = ZONE.replace("a@example.org", "hostmaster");
        assert!(
            error(&text).starts_with("c.toml:4:11: zone[0].contact: write a mail address like"),
            "{}",
            error(&text)
        );
    }

    #[test]
    fn a_hundred_mistakes_are_shown_at_most() {
        let many = ZONE.replace("ns1.example.org", "a..b");
        let text: String = (0..150).map(|index| many.replace("auth", &format!("a{index}"))).collect();
        let found = error(&text);
        assert_eq!(found.matches("c.toml:").count(), 100, "{found}");
        assert!(found.ends_with("100 mistakes in c.toml; there may be more"), "{found}");
    }

    #[test]
    fn zones_lie_side_by_side() {
        let both =
            |first: &str, second: &str| [first, second].map(|name| ZONE.replace("auth.example.org", name)).concat();
        for (first, second) in [("a.test", "a.test"), ("a.test", "x.a.test"), ("x.y.a.test", "a.test")] {
            let found = error(&both(first, second));
            assert!(found.starts_with("c.toml:6:8: zone[1].name: "), "{found}");
        }
        assert_eq!(Config::parse(Path::new("c.toml"), &both("a.test", "xa.test")).unwrap().zones.len(), 2);
    }
}
