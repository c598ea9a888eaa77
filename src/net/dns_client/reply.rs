//! What one server has replied.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, TXT};
use hickory_proto::rr::{RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use crate::model::name::Name;

use super::names::from_library;

/// One server's reply to a direct question.
#[derive(Debug, Clone)]
pub struct DnsReply(Message);

impl From<Message> for DnsReply {
    fn from(message: Message) -> Self {
        Self(message)
    }
}

impl DnsReply {
    /// The response code, its extended bits included.
    pub fn rcode(&self) -> ResponseCode {
        self.0.metadata.response_code
    }

    /// Whether the name does not exist (NXDOMAIN).
    pub fn is_name_error(&self) -> bool {
        self.rcode() == ResponseCode::NXDomain
    }

    /// Whether the server answers as an authority for the name (AA).
    pub fn is_authoritative(&self) -> bool {
        self.0.metadata.authoritative
    }

    /// Whether the reply lacks records for want of room (TC). Over TCP that means a faulty server.
    pub fn is_truncated(&self) -> bool {
        self.0.metadata.truncation
    }

    /// The answer section.
    pub fn answers(&self) -> &[Record] {
        &self.0.answers
    }

    /// The authority section.
    pub fn authorities(&self) -> &[Record] {
        &self.0.authorities
    }

    /// The targets of CNAME records at the name that was asked for.
    pub fn cnames(&self) -> Vec<Name> {
        let asked = self.0.queries.first().map(|query| query.name());
        let at_name = self.0.answers.iter().filter(|record| Some(&record.name) == asked);
        let targets = at_name.filter_map(|record| match &record.data {
            RData::CNAME(CNAME(target)) => from_library(target),
            _ => None,
        });
        targets.collect()
    }

    /// The TXT values at the name that was asked for, each with its character-strings joined.
    pub fn own_txt_values(&self) -> Vec<Vec<u8>> {
        let asked = self.0.queries.first().map(|query| query.name());
        let at_name = self.0.answers.iter().filter(|record| Some(&record.name) == asked);
        let texts = at_name.filter_map(|record| match &record.data {
            RData::TXT(TXT { txt_data, .. }) => Some(txt_data.concat()),
            _ => None,
        });
        texts.collect()
    }

    /// The zone that a negative answer comes from: the owner of its SOA record (RFC 2308 section 3).
    pub fn soa_zone(&self) -> Option<Name> {
        let mut records = self.0.answers.iter().chain(&self.0.authorities);
        records.find_map(|record| from_library(&record.name).filter(|_| record.record_type() == RecordType::SOA))
    }

    /// The zone that a reply without authority refers to.
    pub fn referral(&self) -> Option<Name> {
        self.referred_zone().filter(|_| self.0.answers.is_empty() && !self.is_authoritative())
    }

    /// Records in the answer section, whatever their names and types.
    pub fn answer_count(&self) -> usize {
        self.0.answers.len()
    }

    /// TTL and RDATA of each record of this type at the name that was asked for.
    pub fn rdatas(&self, rtype: RecordType) -> Vec<(u32, Vec<u8>)> {
        let asked = self.0.queries.first().map(|query| query.name());
        let wanted =
            self.0.answers.iter().filter(|record| record.record_type() == rtype && Some(&record.name) == asked);
        wanted.filter_map(|record| Some((record.ttl, record.data.to_bytes().ok()?))).collect()
    }

    /// The serial in the SOA record that was asked for.
    pub fn serial(&self) -> Option<u32> {
        self.0.answers.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        })
    }

    /// The TXT values in the answer section, each with its character-strings joined.
    pub fn txt_values(&self) -> Vec<Vec<u8>> {
        let texts = self.0.answers.iter().filter_map(|record| match &record.data {
            RData::TXT(TXT { txt_data, .. }) => Some(txt_data.concat()),
            _ => None,
        });
        texts.collect()
    }

    /// The target of the CNAME record at the name that was asked for.
    pub fn alias(&self) -> Option<Name> {
        self.cnames().into_iter().next()
    }

    /// The zone that the NS records of the authority section are of: in a referral, where it leads.
    pub fn referred_zone(&self) -> Option<Name> {
        let cut = self.0.authorities.iter().find(|record| record.record_type() == RecordType::NS)?;
        from_library(&cut.name)
    }

    /// The records at `name` in the authority section, such as the DS records of a referral.
    pub fn authorities_at(&self, name: &Name) -> impl Iterator<Item = &Record> {
        self.0.authorities.iter().filter(move |record| from_library(&record.name).as_ref() == Some(name))
    }

    /// The nameservers of a zone, from an answer or a referral.
    pub fn nameservers_of(&self, apex: &Name) -> Vec<Name> {
        let at_apex = self.0.all_sections().filter(|record| from_library(&record.name).as_ref() == Some(apex));
        let names = at_apex.filter_map(|record| match &record.data {
            RData::NS(NS(name)) => from_library(name),
            _ => None,
        });
        names.collect()
    }

    /// Every address record in any section: the glue of a referral.
    pub fn addresses(&self) -> Vec<(Name, IpAddr)> {
        self.0.all_sections().filter_map(address_of).collect()
    }
}

fn address_of(record: &Record) -> Option<(Name, IpAddr)> {
    let address = record.data.ip_addr()?;
    Some((from_library(&record.name)?, address))
}
