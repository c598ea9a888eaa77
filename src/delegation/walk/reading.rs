//! What one nameserver's reply means, read as strictly as the resolvers of CAs do.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::delegation::parent::Nameserver;
use crate::model::name::Name;
use crate::net::dns_client::DnsReply;

use super::super::signatures::ds_of;
use super::step::{Referred, ServerFault, StepOutcome};

/// Reads a reply from a nameserver of `zone` to a question for `name`.
///
/// A referral must lead further down towards the name. Any other reply must be authoritative (AA).
pub fn read(reply: &DnsReply, zone: &Name, name: &Name, rtype: RecordType) -> StepOutcome {
    if reply.is_truncated() {
        return StepOutcome::Fault(ServerFault::Truncated);
    }
    let rcode = reply.rcode();
    if !matches!(rcode, ResponseCode::NoError | ResponseCode::NXDomain) {
        return StepOutcome::Fault(ServerFault::Rcode(rcode));
    }
    if reply.answer_count() == 0
        && rcode == ResponseCode::NoError
        && let Some(below) = reply.referred_zone().filter(|below| below != zone)
    {
        return read_referral(reply, zone, name, below);
    }
    if !reply.is_authoritative() {
        return StepOutcome::Fault(ServerFault::Lame(zone.clone()));
    }
    if rcode == ResponseCode::NXDomain && reply.alias().is_none() {
        return StepOutcome::NameError;
    }
    match (reply.rdatas(rtype).len(), reply.alias()) {
        (0, Some(target)) => StepOutcome::Alias(target),
        (0, None) => StepOutcome::NoData,
        (count, _) => StepOutcome::Records(count),
    }
}

fn read_referral(reply: &DnsReply, zone: &Name, name: &Name, below: Name) -> StepOutcome {
    let leads_down = below.is_in(zone) && name.is_in(&below);
    if !leads_down {
        return StepOutcome::Fault(ServerFault::WrongReferral(below));
    }
    let nameservers = reply.nameservers_of(&below);
    // A server may tell addresses of names in its own zone only. Others would let it redirect any name.
    let is_believed = |told: &Name| told.is_in(zone) && nameservers.contains(told);
    let told = reply.addresses().into_iter().filter(|(told, _)| is_believed(told));
    let glue = told.map(|(name, address)| Nameserver { name, address }).collect();
    let ds = reply.authorities_at(&below).filter_map(ds_of).collect();
    StepOutcome::Referral(Referred { zone: below, nameservers, glue, ds })
}
