//! What one server has replied.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{NS, TXT};
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

    /// Whether the server answers as an authority for the name (AA).
    pub fn is_authoritative(&self) -> bool {
        self.0.metadata.authoritative
    }

    /// Whether the reply lacks records for want of room (TC). Over TCP that means a faulty server.
    pub fn is_truncated(&self) -> bool {
        self.0.metadata.truncation
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

    /// The TXT values in the answer section, each with its character-strings joined.
    pub fn txt_values(&self) -> Vec<Vec<u8>> {
        let texts = self.0.answers.iter().filter_map(|record| match &record.data {
            RData::TXT(TXT { txt_data, .. }) => Some(txt_data.concat()),
            _ => None,
        });
        texts.collect()
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
