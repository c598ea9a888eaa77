//! `[[zone]]`: the zones that the daemon answers for.

use crate::model::name::{Name, ZoneName};
use crate::zone::soa::{Contact, Soa};
use crate::zone::zonefile::StaticRecords;

use super::read::{Reader, Result};
use super::{Dnssec, ZoneSettings, file};

impl Reader<'_> {
    pub(super) fn zones(&self, zones: &[file::Zone]) -> Result<Vec<ZoneSettings>> {
        if zones.is_empty() {
            let problem = "there is no zone to answer for; add `[[zone]]` with `name`, `ns` and `contact`";
            return Err(self.source.at("zone", problem));
        }
        let mut read: Vec<ZoneSettings> = Vec::new();
        for (index, zone) in zones.iter().enumerate() {
            let settings = self.zone(index, zone)?;
            if read.iter().any(|earlier| earlier.name == settings.name) {
                return Err(self.source.at(
                    &format!("zone.{index}.name"),
                    format!("the zone {} is there twice; remove one of the two", settings.name),
                ));
            }
            // Each zone is answered as a whole; a zone below another one would need a delegation in it.
            if let Some(other) = read.iter().find(|earlier| is_nested(&earlier.name, &settings.name)) {
                let problem = format!(
                    "{} and {} are nested; use names of which neither is in the other",
                    settings.name, other.name
                );
                return Err(self.source.at(&format!("zone.{index}.name"), problem));
            }
            read.push(settings);
        }
        self.has_own_keys(&read)?;
        Ok(read)
    }

    /// Refuses one key file for two zones, which would overwrite each other's keys.
    fn has_own_keys(&self, zones: &[ZoneSettings]) -> Result<()> {
        for (index, zone) in zones.iter().enumerate() {
            let Some(dnssec) = &zone.dnssec else { continue };
            let earlier = zones[..index].iter().filter_map(|zone| zone.dnssec.as_ref());
            if earlier.into_iter().any(|earlier| earlier.key == dnssec.key) {
                let problem = "another zone has this key file; each zone needs its own";
                return Err(self.source.at(&format!("zone.{index}.dnssec-key"), problem));
            }
        }
        Ok(())
    }

    fn zone(&self, index: usize, zone: &file::Zone) -> Result<ZoneSettings> {
        let key = |name: &str| format!("zone.{index}.{name}");
        let wrong = |name: &str, error: &dyn std::fmt::Display| self.source.at(&key(name), error.to_string());
        let name: ZoneName = zone.name.parse().map_err(|error| wrong("name", &error))?;
        let nameservers: Vec<Name> = zone
            .ns
            .iter()
            .map(|ns| ns.parse())
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| wrong("ns", &error))?;
        let Some(mname) = nameservers.first().cloned() else {
            return Err(wrong("ns", &"the list is empty; name the nameservers that the parent zone delegates to"));
        };
        if nameservers.iter().enumerate().any(|(at, ns)| nameservers[..at].contains(ns)) {
            return Err(wrong("ns", &"a nameserver is there twice; name each once"));
        }
        let contact: Contact = zone.contact.parse().map_err(|error| wrong("contact", &error))?;
        for (name, found, least, most) in [
            ("refresh", zone.refresh, 60, 604_800),
            ("retry", zone.retry, 60, 604_800),
            ("expire", zone.expire, 3_600, 31_536_000),
            ("negative-ttl", zone.negative_ttl, 0, 3_600),
            ("txt-ttl", zone.txt_ttl, 0, 3_600),
            ("dnskey-ttl", zone.dnskey_ttl, 1, 3_600),
        ] {
            self.in_range(&key(name), u64::from(found), least, most)?;
        }
        let statics = StaticRecords::parse(&name, &nameservers, &zone.records)
            .map_err(|error| self.source.at_line(&key("records"), error.line, error.problem))?;
        if let Some(ns) = statics.without_address(&name, &nameservers) {
            let problem = format!("{ns} is in the zone and has no address; add `{ns}. A <address>` to `records`");
            return Err(wrong("ns", &problem));
        }
        let soa = Soa {
            mname,
            rname: contact.0,
            refresh: zone.refresh,
            retry: zone.retry,
            expire: zone.expire,
            negative_ttl: zone.negative_ttl,
        };
        let dnskey_ttl = zone.dnskey_ttl;
        let dnssec = zone.dnssec_key.as_ref().map(|key| Dnssec { key: self.folder.join(key), dnskey_ttl });
        Ok(ZoneSettings { name, nameservers, soa, txt_ttl: zone.txt_ttl, statics, dnssec })
    }
}

fn is_nested(one: &ZoneName, other: &ZoneName) -> bool {
    one.apex().is_in(other.apex()) || other.apex().is_in(one.apex())
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
