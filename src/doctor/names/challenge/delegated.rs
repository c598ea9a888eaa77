//! Names that have NS records in the place of a CNAME.

use hickory_proto::rr::RecordType;

use crate::delegation::challenge_chain::Link;
use crate::delegation::finding::question;
use crate::delegation::iterative::{IterativeError, ZoneCut};
use crate::model::name::Name;
use crate::model::text::listed;

use super::super::super::findings::ScopedFinding;
use super::faults;
use super::subject::Subject;

/// The finding about a name that is delegated to nameservers of which none answers; `None` for another zone.
pub async fn unanswered(subject: &Subject, error: &IterativeError) -> Option<ScopedFinding> {
    let IterativeError::Unanswered { zone, .. } = error else { return None };
    if zone.apex != subject.looked_at {
        return None;
    }
    let above = zone.parent.as_ref().map_or_else(|| subject.base.clone(), |zone| zone.apex.clone());
    let subject = &subject.needing(&above).await;
    let names = nameservers(zone);
    let answer = format!("it has NS records ({}), and {error}", listed(&names));
    let asked = question(RecordType::NS, &subject.looked_at);
    let leads_here = zone.servers.iter().any(|server| subject.own.is_asked_at(server));
    if leads_here || names.iter().any(|name| subject.own.is_nameserver(name)) {
        let fault = faults::NS_IN_PLACE.found(&subject.looked_at, asked, answer);
        return Some(subject.needed.advise(fault, "remove the NS records there"));
    }
    let fault = faults::NS_LAME.found(&subject.looked_at, asked, answer);
    Some(subject.needed.advise(fault, "remove the NS records there"))
}

/// The finding about a name that is delegated to nameservers of somebody else, which answer.
pub fn elsewhere(subject: &Subject, link: &Link) -> ScopedFinding {
    let answer = format!("it has NS records: {}", listed(nameservers(&link.zone)));
    let asked = question(RecordType::NS, &subject.looked_at);
    let fault = faults::NS_ELSEWHERE.found(&subject.looked_at, asked, answer);
    subject.needed.advise(fault, "remove the NS records there")
}

fn nameservers(zone: &ZoneCut) -> Vec<Name> {
    let with_address = zone.servers.iter().map(|server| &server.name);
    let mut names: Vec<Name> = with_address.chain(zone.unresolved.iter().map(|server| &server.name)).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}
