//! The zone of acme-dns: its nameservers, their addresses, and its records.

use std::net::{IpAddr, SocketAddr};

use toml::Value;

use crate::cli::error::Result;
use crate::model::name::{Name, ZoneName};
use crate::net::interfaces;
use crate::zone::soa::Contact;
use crate::zone::zonefile::StaticRecords;

use super::super::old::{General, wrong};
use super::{Maker, address_line, addresses, list};

/// The defaults of acme-dns's records: names are absolute without a closing dot, and the TTL is an hour.
const HEAD: &str = "$ORIGIN .\n$TTL 3600\n";

impl Maker<'_> {
    pub(super) fn zone(&mut self) -> Result<()> {
        let general = &self.old.general;
        let zone = self.old.zone().map_err(|error| wrong(self.from, "general.domain", &error))?;
        let own = general.nsname.trim_end_matches('.');
        if !own.is_empty() && own.parse::<Name>().is_err() {
            self.left(
                &format!("general.nsname = {own:?}"),
                "that is not a name; the right one belongs first into `ns`",
            );
        }
        let (nameservers, lines) = nameservers(general, &zone);
        let nameservers: Vec<String> = nameservers.into_iter().filter(|name| name.parse::<Name>().is_ok()).collect();
        let nameservers = if nameservers.is_empty() { vec![zone.to_string()] } else { nameservers };
        let names: Vec<Name> = nameservers.iter().filter_map(|name| name.parse().ok()).collect();
        let contact = self.contact(&zone);
        let mut records_text = HEAD.to_owned();
        for line in lines {
            let more = format!("{records_text}{line}\n");
            match StaticRecords::parse(&zone, &names, &more) {
                Ok(_) => records_text = more,
                Err(error) => self.left(&format!("general.records: {line:?}"), &error.to_string()),
            }
        }
        self.addresses(&zone, &names, &mut records_text);
        self.line("\n[[zone]]");
        self.key("name", zone.to_string());
        self.key("ns", list(&nameservers));
        self.key("contact", contact);
        if records_text.len() > HEAD.len() {
            let text = if records_text.contains("'''") {
                Value::from(records_text).to_string()
            } else {
                format!("'''\n{records_text}'''")
            };
            self.line(&format!("records = {text}"));
        }
        Ok(())
    }

    fn contact(&mut self, zone: &ZoneName) -> String {
        let default = format!("hostmaster.{zone}");
        let found = self.old.general.nsadmin.trim_end_matches('.');
        if found.is_empty() {
            return default;
        }
        if let Err(error) = found.parse::<Contact>() {
            self.left(&format!("general.nsadmin = {found:?}"), &format!("{error}; {default} is taken"));
            return default;
        }
        found.to_owned()
    }

    /// Nameservers in the zone need an address there, which acme-dns does not ask for. Known are those that it listens on,
    /// and those of this machine that can be reached from everywhere.
    fn addresses(&mut self, zone: &ZoneName, names: &[Name], records_text: &mut String) {
        let listen = addresses(&self.old.general.listen, "").unwrap_or_default();
        let named: Vec<IpAddr> = listen.iter().map(SocketAddr::ip).filter(interfaces::is_public).collect();
        let known = if named.is_empty() { interfaces::public() } else { named };
        while let Ok(records) = StaticRecords::parse(zone, names, records_text) {
            let Some(name) =
                records.without_address(zone, names).filter(|name| !self.missing.contains(&name.to_string()))
            else {
                return;
            };
            let key = format!("general.records has no address of {name}");
            if known.is_empty() {
                self.left(&key, "write it into `records` of the zone");
                self.urgent.push(format!(
                    "the daemon does not start before `records` of the zone has the address of {name}: write the one that \
                     the parent zone has (glue) as `{name}. A <address>`"
                ));
                self.missing.push(name.to_string());
                *records_text += &format!("{}\n", address_line(&name.to_string()));
                return;
            }
            for ip in &known {
                *records_text += &format!("{name} {} {ip}\n", if ip.is_ipv4() { "A" } else { "AAAA" });
            }
            let texts: Vec<String> = known.iter().map(ToString::to_string).collect();
            let why = format!("{} is taken, of this machine; the parent zone must have the same", texts.join(", "));
            self.left(&key, &why);
        }
    }
}

/// The NS set of the zone, beginning with the SOA's own name if it is in the set, and the records without that set.
/// acme-dns has the two apart, and serves no NS that is not among the records.
fn nameservers<'a>(general: &'a General, zone: &ZoneName) -> (Vec<String>, Vec<&'a str>) {
    let mut nameservers: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in general.records.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
        match nameserver(line, zone) {
            Some(name) if nameservers.contains(&name) => {}
            Some(name) => nameservers.push(name),
            None => lines.push(line),
        }
    }
    let own = general.nsname.trim_end_matches('.').to_ascii_lowercase();
    match nameservers.iter().position(|name| *name == own) {
        Some(at) => nameservers.swap(0, at),
        None if nameservers.is_empty() => nameservers.push(if own.is_empty() { zone.to_string() } else { own }),
        None => {}
    }
    (nameservers, lines)
}

/// The target of `auth.example.org. 3600 IN NS ns1.example.org.` at the apex.
fn nameserver(line: &str, zone: &ZoneName) -> Option<String> {
    let mut words = line.split_whitespace();
    let owner: Name = words.next()?.parse().ok()?;
    let rest: Vec<&str> = words
        .skip_while(|word| word.eq_ignore_ascii_case("IN") || word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    match rest.as_slice() {
        [rtype, target] if rtype.eq_ignore_ascii_case("NS") && owner == *zone.apex() => {
            target.parse::<Name>().ok().map(|name| name.to_string())
        }
        _ => None,
    }
}
