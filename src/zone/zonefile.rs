//! A zone's static records: a zonefile (RFC 1035 section 5) read into wire bytes.
//!
//! Strict on purpose: whatever this daemon could not answer rightly is an error that names the line.

mod error;
mod sets;
mod text;
mod unicode;

use std::collections::HashMap;

use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::rdata::{ComposeRecordData, ParseRecordData};
use domain::base::{ParsedName, Rtype};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace::{Entry, ScannedRecord, Zonefile};
use hickory_proto::rr::RecordType;

use crate::model::name::owner_label::AcmeAccountLabel;
use crate::model::name::{CHALLENGE_LABEL, Name, NameRef, ZoneName};
use crate::model::txt::RecordSet;

use text::{LineCounter, ensure_balanced, syntax_error};

pub use error::ZonefileError;

/// Bytes of RDATA that one set may hold, so that every answer fits a message over TCP.
const MAX_SET: usize = 60_000;
/// The most CNAMEs in a row, within the zone.
pub const MAX_CHAIN: usize = 8;
/// Seconds that the NS set may be kept.
const NS_TTL: u32 = 3_600;

/// The record sets of the configuration, by name; names that only have something below them are there as empty.
#[derive(Clone, Debug, Default)]
pub struct StaticRecords {
    sets: HashMap<Name, Vec<RecordSet>>,
    /// The line of the zonefile in which a name first stands, for errors that show only later.
    lines: HashMap<Name, usize>,
}

impl StaticRecords {
    /// Reads a zonefile. The NS set of the apex comes from `nameservers`.
    pub fn parse(zone: &ZoneName, nameservers: &[Name], zonefile: &str) -> Result<Self, ZonefileError> {
        let mut reader = Reader { zone, records: Self::default() };
        reader.records.sets.insert(zone.apex().clone(), vec![ns_set(nameservers)]);
        reader.read(zonefile)?;
        reader.has_no_loops()?;
        reader.records.add_empty_non_terminals(zone);
        Ok(reader.records)
    }

    /// The record sets at a name; `None` where neither it nor anything below it is in the configuration.
    pub fn at(&self, name: NameRef<'_>) -> Option<&[RecordSet]> {
        self.sets.get(name.as_wire()).map(Vec::as_slice)
    }

    /// The longest TTL of any set.
    pub fn longest_ttl(&self) -> Option<u32> {
        self.sets.values().flatten().map(|set| set.ttl).max()
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.sets.keys()
    }

    /// The first line of the zonefile with a record at a name or below it; 1 where there is none.
    pub fn line_of(&self, name: &Name) -> usize {
        self.lines.iter().filter(|(owner, _)| owner.is_in(name)).map(|(_, line)| *line).min().unwrap_or(1)
    }

    /// The first nameserver whose name is in the zone and that has no address there: nobody could reach it.
    pub fn without_address<'n>(&self, zone: &ZoneName, nameservers: &'n [Name]) -> Option<&'n Name> {
        let is_address = |set: &RecordSet| matches!(set.rtype, RecordType::A | RecordType::AAAA);
        let has_address = |ns: &&Name| self.at(ns.as_ref()).is_some_and(|sets| sets.iter().any(is_address));
        nameservers.iter().filter(|ns| ns.is_in(zone.apex())).find(|ns| !has_address(ns))
    }

    fn add_empty_non_terminals(&mut self, zone: &ZoneName) {
        let names: Vec<Name> = self.sets.keys().cloned().collect();
        for name in names {
            let mut above = name.parent();
            while let Some(name) = above.filter(|name| name.is_in(zone.apex())) {
                self.sets.entry(name.clone()).or_default();
                above = name.parent();
            }
        }
    }
}

/// Whether data end in a name whose first label is `@`: what the parser makes of the origin (RFC 1035 section 5.1) in a
/// record's data.
fn ends_in_at(rdata: &[u8]) -> bool {
    let mut tails = (0..rdata.len()).map(|at| &rdata[at..]);
    tails.any(|tail| tail.starts_with(b"\x01@") && Name::from_wire(tail).is_ok())
}

/// The target of a CNAME set, in the case in which it was written, as wire bytes.
pub fn cname_target(sets: &[RecordSet]) -> Option<&[u8]> {
    let set = sets.iter().find(|set| set.rtype == RecordType::CNAME)?;
    set.rdatas.first().map(|rdata| &rdata[..])
}

fn ns_set(nameservers: &[Name]) -> RecordSet {
    let rdatas = nameservers.iter().map(|ns| ns.as_wire().into()).collect();
    RecordSet { rtype: RecordType::NS, ttl: NS_TTL, rdatas }
}

struct Reader<'a> {
    zone: &'a ZoneName,
    records: StaticRecords,
}

impl Reader<'_> {
    fn read(&mut self, zonefile: &str) -> Result<(), ZonefileError> {
        ensure_balanced(zonefile)?;
        // The parser wants a closed last line and an origin; RFC 1035 wants a class once, and ours is always IN.
        let text = format!("{}\n", unicode::with_a_labels(zonefile));
        let mut lines = LineCounter::new(&text);
        let mut file = Zonefile::from(text.as_str());
        file.set_origin(origin(self.zone));
        file.set_default_class(Class::IN);
        loop {
            match file.next_entry() {
                Ok(None) => return Ok(()),
                Ok(Some(Entry::Record(record))) => {
                    let line = lines.line_before(file.current_offset());
                    self.add(&record, line).map_err(|problem| ZonefileError { line, problem })?;
                }
                Ok(Some(Entry::Include { .. })) => {
                    let line = lines.line_before(file.current_offset());
                    let problem = "$INCLUDE is not read; write the records here".into();
                    return Err(ZonefileError { line, problem });
                }
                Err(error) => return Err(syntax_error(&error.to_string())),
            }
        }
    }

    fn add(&mut self, record: &ScannedRecord, line: usize) -> Result<(), String> {
        let owner = wire_name(record.owner())?;
        let rtype = RecordType::from(record.rtype().to_int());
        self.admit(&owner, rtype, record.class())?;
        let mut rdata = Vec::new();
        // Writing to a Vec cannot fail; its error type has no value.
        _ = record.data().compose_rdata(&mut rdata);
        if !is_well_formed(record.rtype(), &rdata) {
            return Err(format!("these bytes are not {rtype} data; write them as {rtype} records are written"));
        }
        if rtype != RecordType::TXT && ends_in_at(&rdata) {
            return Err(
                "`@` is read as the zone only where a record's name stands; write the whole name, with a dot".into()
            );
        }
        let ttl = record.ttl().as_secs();
        if ttl >= 1 << 31 {
            return Err(format!("the TTL {ttl} is over 2147483647 (RFC 2181 section 8)"));
        }
        let sets = self.records.sets.entry(owner.clone()).or_default();
        let is_cname = rtype == RecordType::CNAME;
        if sets.iter().any(|set| is_cname || set.rtype == RecordType::CNAME) {
            return Err(format!(
                "a CNAME stands alone at its name, and {owner} has other data (RFC 2181 section 10.1)"
            ));
        }
        match sets.iter_mut().find(|set| set.rtype == rtype) {
            None => sets.push(RecordSet { rtype, ttl, rdatas: vec![rdata.into()] }),
            Some(set) => extend(set, ttl, rdata.into(), &owner)?,
        }
        self.records.lines.entry(owner).or_insert(line);
        Ok(())
    }

    /// Whether no challenge could be published where a record would be.
    fn is_free(&self, owner: &Name, rtype: RecordType) -> Result<(), String> {
        let apex = self.zone.apex();
        if !self.zone.is_challenge() {
            return match apex.child(CHALLENGE_LABEL) {
                Ok(challenge) if owner.is_in(&challenge) => {
                    Err(format!("{owner} belongs to the daemon's own challenges; publish there instead"))
                }
                _ => Ok(()),
            };
        }
        if owner == apex && rtype == RecordType::TXT {
            return Err(format!(
                "the TXT records of {owner} are those that its account publishes; publish there instead"
            ));
        }
        let last = owner.as_ref().below(apex.as_ref()).and_then(Iterator::last);
        if last.is_some_and(AcmeAccountLabel::is_one) {
            return Err(format!("{owner} has the label of an ACME account, at which accounts publish; choose another"));
        }
        Ok(())
    }

    /// Whether a record of this name and type is one that the configuration may hold.
    fn admit(&self, owner: &Name, rtype: RecordType, class: Class) -> Result<(), String> {
        let apex = self.zone.apex();
        if class != Class::IN {
            return Err(format!("the class must be IN; found {class}"));
        }
        let Some(mut labels) = owner.as_ref().below(apex.as_ref()) else {
            return Err(format!("{owner} is not in the zone {apex}; names without a closing dot get the zone added"));
        };
        if labels.any(|label| label == b"*") {
            return Err(format!("wildcards are not answered; write each name out instead of {owner}"));
        }
        self.is_free(owner, rtype)?;
        if is_meta(rtype) {
            return Err(format!("{rtype} stands in messages and in no zone (RFC 6895 section 3.1); leave it out"));
        }
        match rtype {
            RecordType::SOA => Err("the SOA comes from the zone's other keys; leave it out".into()),
            RecordType::NS if owner == apex => Err("the apex's NS come from the key `ns`; leave them out".into()),
            RecordType::NS => Err(format!("nothing below the apex can be delegated, and {owner} has an NS")),
            RecordType::DNAME => Err("DNAME is not answered; write CNAMEs".into()),
            RecordType::SIG
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::DNSKEY
            | RecordType::CDS
            | RecordType::CDNSKEY => Err(format!("{rtype} records are made by signing, not by hand; leave them out")),
            _ => Ok(()),
        }
    }

    /// No CNAME of the configuration leads back to itself or through too many others.
    fn has_no_loops(&self) -> Result<(), ZonefileError> {
        let mut starts: Vec<&Name> = self.records.sets.keys().collect();
        starts.sort_by_key(|name| self.records.lines.get(*name));
        for start in starts {
            let mut name = start.clone();
            let mut steps = 0;
            while let Some(target) = self.records.at(name.as_ref()).and_then(cname_target) {
                steps += 1;
                if steps > MAX_CHAIN {
                    let problem = format!("the CNAME at {start} leads through over {MAX_CHAIN} others, or in a circle");
                    return Err(ZonefileError { line: self.records.line_of(start), problem });
                }
                name = Name::from_wire(target).unwrap_or_else(|_| self.zone.apex().clone());
            }
        }
        Ok(())
    }
}

fn extend(set: &mut RecordSet, ttl: u32, rdata: Box<[u8]>, owner: &Name) -> Result<(), String> {
    let rtype = set.rtype;
    if set.ttl != ttl {
        return Err(format!(
            "all {rtype} records of {owner} share one TTL (RFC 2181 section 5.2); found {} and {ttl}",
            set.ttl
        ));
    }
    if set.rdatas.contains(&rdata) {
        return Err(format!("this {rtype} record of {owner} stands here twice"));
    }
    set.rdatas.push(rdata);
    if set.rdatas.iter().map(|rdata| rdata.len() + 12).sum::<usize>() > MAX_SET {
        return Err(format!("the {rtype} records of {owner} are too many for one answer ({MAX_SET} bytes)"));
    }
    Ok(())
}

fn origin(zone: &ZoneName) -> domain::base::Name<bytes::Bytes> {
    let wire = bytes::Bytes::copy_from_slice(zone.apex().as_wire());
    // A ZoneName is a valid name; the root would only make every record foreign.
    domain::base::Name::from_octets(wire).unwrap_or_else(|_| domain::base::Name::root_bytes())
}

fn wire_name(name: &impl ToName) -> Result<Name, String> {
    Name::from_wire(name.to_vec().as_slice()).map_err(|error| error.to_string())
}

/// Types that only ever stand in messages.
fn is_meta(rtype: RecordType) -> bool {
    matches!(u16::from(rtype), 0 | 41 | 128..=255)
}

/// Whether RDATA is of its type's form. The parser takes any bytes for any type (RFC 3597 section 5); sent as they
/// are, wrong ones would make the whole answer unreadable.
fn is_well_formed(rtype: Rtype, rdata: &[u8]) -> bool {
    let mut parser = Parser::from_ref(rdata);
    let Ok(Some(data)) = ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(rtype, &mut parser) else {
        return false;
    };
    let mut again = Vec::with_capacity(rdata.len());
    _ = data.compose_rdata(&mut again);
    // Shorter: something follows. Longer: there was a compressed name, which means another one in a message.
    again == rdata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(zonefile: &str) -> Result<StaticRecords, ZonefileError> {
        let ns = ["ns1.auth.example.org".parse().unwrap()];
        StaticRecords::parse(&"auth.example.org".parse().unwrap(), &ns, zonefile)
    }

    fn sets(records: &StaticRecords, name: &str) -> Vec<RecordSet> {
        let name: Name = name.parse().unwrap();
        records.at(name.as_ref()).unwrap().to_vec()
    }

    const NS: &str = "ns1 A 192.0.2.1\n";

    #[test]
    fn records_keep_their_case_and_get_a_ttl() {
        let records = parse(&format!(
            "{NS}@ CAA 0 issue \"LetsEncrypt.org\"\n@ 60 TXT \"\\195\\164B\"\na.b MX 5 Mail.Example.ORG.\n"
        ))
        .unwrap();
        let apex = sets(&records, "auth.example.org");
        assert!(apex.iter().any(|set| set.rtype == RecordType::CAA && set.ttl == 3_600));
        assert!(
            apex.iter().any(|set| set.rtype == RecordType::TXT && set.ttl == 60 && *set.rdatas[0] == *b"\x03\xc3\xa4B")
        );
        assert_eq!(&*sets(&records, "a.b.auth.example.org")[0].rdatas[0], b"\x00\x05\x04Mail\x07Example\x03ORG\x00");
        assert_eq!(sets(&records, "b.auth.example.org"), []);
        assert_eq!(
            sets(&parse(&format!("{NS}x TYPE65280 \\# 2 abcd\n")).unwrap(), "x.auth.example.org")[0].rdatas[0][..],
            [0xab, 0xcd]
        );
    }

    /// Found by the fuzz target `zonefile`: they were served, and no resolver could read the answer.
    #[test]
    fn bytes_that_are_no_data_of_their_type_are_refused() {
        for record in
            ["A \\# 3 c00002", "A \\# 5 c000020101", "CNAME \\# 2 c000", "MX \\# 4 0000c000", "TXT \\# 2 0561"]
        {
            let error = parse(&format!("{NS}x {record}\n")).expect_err(record);
            assert!(error.line == 2 && error.problem.contains("bytes are not"), "{record}: {error:?}");
        }
        for record in ["A \\# 4 c0000201", "CNAME \\# 3 016100", "MX \\# 3 000000", "TXT \\# 2 0161", "TYPE65280 \\# 0"]
        {
            assert!(parse(&format!("{NS}x {record}\n")).is_ok(), "{record}");
        }
    }

    /// Found by the fuzz target `zonefile`: the parser panicked.
    #[test]
    fn a_token_stuck_to_a_quote_is_refused() {
        for text in ["$INCLUDE \"\"x\n", "x NAPTR 1 2 \"\" \"\" \"\"y\n", "\"\"x A 192.0.2.1\n", "x TXT \"a\"\u{c}b\n"]
        {
            assert!(parse(&format!("{NS}{text}")).is_err_and(|error| error.line == 2), "{text:?}");
        }
        assert!(parse("x TXT \"a\"\"b\"(\"c\")\"d\";\"e\"f\n").is_ok());
    }

    #[test]
    fn each_mistake_names_its_line() {
        for (line, zonefile) in [
            (2, "; a comment\nx A 1.2.3\n"),
            (2, "\nx A 1.2.3.4 5.6.7.8"),
            (1, "x NS ns.example.org.\n"),
            (3, "\n\n@ NS ns.example.org.\n"),
            (2, "y A 192.0.2.9\nx DNAME example.org.\n"),
            (1, "*.x A 192.0.2.1\n"),
            (2, "; no\n$INCLUDE /etc/passwd\n"),
            (2, "x CNAME y\nx A 192.0.2.1\n"),
            (1, "www CNAME @\n"),
            (2, "\n@ MX 10 @\n"),
            (2, "x A 192.0.2.1\nx CNAME y\n"),
            (2, "x CNAME y\nx CNAME z\n"),
            (1, "x.example.com. A 192.0.2.1\n"),
            (2, "x 60 A 192.0.2.1\nx 61 A 192.0.2.2\n"),
            (3, "x A 192.0.2.1\n\nx A 192.0.2.1\n"),
            (1, "@ SOA a b 1 2 3 4 5\n"),
            (1, "x CH TXT a\n"),
            (1, "x TYPE41 \\# 0\n"),
            (1, "x ANY \\# 0\n"),
            (1, "_acme-challenge TXT a\n"),
            (3, "x TXT (\n a\n b ) extra(\n"),
            (2, "; circle\nx CNAME x\n"),
            (2, "x A 192.0.2.1\nx TXT \"a\n"),
        ] {
            // The last two show only when all is read, and then name the zonefile's start.
            let text = if line == 1 && zonefile.starts_with("www") {
                zonefile.to_owned()
            } else {
                format!("{zonefile}\n{NS}")
            };
            let error = parse(&text).expect_err(zonefile);
            assert_eq!(error.line, line, "{zonefile:?}: {error}");
        }
    }
}
