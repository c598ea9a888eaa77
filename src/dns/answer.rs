//! The answer of the zones to a question. A pure function: no socket, no clock, no log.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::{MAX_NAME, NameRef};
use crate::model::serial::Serial;
use crate::model::time::RunningTime;
use crate::model::txt::RecordSet;
use crate::zone::owner_state::OwnerState;
use crate::zone::zonefile::{MAX_CHAIN, cname_target};
use crate::zone::{Node, Zone, zone_of};

use super::ede::Ede;
use super::error_reply::ErrorReply;
use super::question::Question;
use super::signatures::SigningOutcome;

/// A reply before it is encoded.
#[derive(Debug)]
pub struct Answer<'z> {
    /// The response code; for a chain of CNAMEs that of its last name (RFC 6604 section 3).
    pub rcode: ResponseCode,
    /// AA: the question's name lies in a zone of this server.
    pub is_authoritative: bool,
    /// The CNAME sets that were followed, in order. Empty for nearly every question, and then without an allocation.
    pub aliases: Vec<&'z RecordSet>,
    /// The records of the question's name, or of the target of the last alias.
    pub records: Records<'z>,
    /// The zone whose SOA goes into the authority section (RFC 2308 section 3).
    pub negative: Option<&'z Zone>,
    /// The serial, read together with the records. A commit in between must part neither the SOA of this answer from what it
    /// describes nor the SOA from its signature, and the query log tells by it which commits an answer is before.
    pub serial: Serial,
    /// The explanation, if the response code alone does not say enough.
    pub ede: Option<Ede>,
    /// Signatures, if the zone is signed and the client wants them. [`answer`] never adds them.
    pub signing: SigningOutcome,
    /// Whose name was asked for, which decides whether the query is logged.
    pub asked: AskedName,
}

/// The kind of name that a question was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskedName {
    /// An owner's, or one whose CNAMEs lead to an owner's in the same zone.
    Owner,
    /// One below an owner's, where nothing is: a CNAME may have a wrong target.
    BelowOwner,
    /// Any other.
    Other,
}

/// The records in an answer.
#[derive(Debug)]
pub enum Records<'z> {
    /// No records.
    None,
    /// The zone's SOA.
    Soa(&'z Zone),
    /// A record set of the configuration.
    Static(&'z RecordSet),
    /// The live TXT values of a name.
    Live(LiveTxt),
    /// A TXT record of class CH: the server's name or version (RFC 4892).
    Identity(&'z str),
}

impl Records<'_> {
    /// The TTL in seconds.
    pub fn ttl(&self) -> u32 {
        match self {
            Self::None | Self::Identity(_) => 0,
            Self::Soa(zone) => zone.soa.negative_ttl,
            Self::Static(set) => set.ttl,
            Self::Live(txt) => txt.ttl,
        }
    }
}

/// The TXT record set of an owner at one moment.
#[derive(Debug)]
pub struct LiveTxt {
    slot: OwnerState,
    now: RunningTime,
    /// The TTL in seconds.
    pub ttl: u32,
}

impl LiveTxt {
    /// The text of each live record: challenge values from newest to oldest, then persistent values.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let challenges = self.slot.values().iter().filter(|value| value.is_live(self.now));
        let persistent = self.slot.persistent().iter().filter(|value| value.is_live(self.now));
        let challenges = challenges.map(|value| value.txt.as_bytes().as_slice());
        challenges.chain(persistent.map(|value| value.value.as_str().as_bytes()))
    }
}

/// Answers a question from `zones` as of `now` (RFC 1034 section 4.3.2, without referrals and wildcards).
///
/// `is_virtual`: whether a name outside the zones looks like a zone that has only a SOA. Some clients need this: they search
/// for the zone to which to send an UPDATE, and find only a CNAME.
pub fn answer<'z>(
    zones: &'z [Zone],
    question: &Question<'_>,
    is_virtual: impl Fn(NameRef<'_>) -> bool,
    now: RunningTime,
) -> Answer<'z> {
    let Some(first) = zones.first() else { return Answer::not_ready() };
    let Some(zone) = zone_of(zones, question.name()) else {
        let is_soa = question.rtype() == RecordType::SOA && is_virtual(question.name());
        return if is_soa { Answer::soa(first, first.serial()) } else { Answer::not_ours() };
    };
    let mut aliases = Vec::new();
    let mut buffer = [0; MAX_NAME];
    let mut name = question.name();
    loop {
        let Some((node, serial)) = zone.locate(name) else {
            return Answer::found(Records::None).with(aliases); // the chain leaves the zone: others go on from there
        };
        let sets = match node {
            Node::Apex(..) if question.rtype() == RecordType::SOA || question.rtype() == RecordType::ANY => {
                return Answer::soa(zone, serial).with(aliases);
            }
            Node::Apex(_, Some(slot)) if question.rtype() == RecordType::TXT => {
                return at_owner(zone, serial, question.rtype(), slot, now).with(aliases);
            }
            Node::Apex(sets, _) | Node::Static(sets) => sets,
            Node::Owner(slot) => return at_owner(zone, serial, question.rtype(), slot, now).with(aliases),
            Node::Nowhere => return nowhere(zone, serial, name).with(aliases),
        };
        if let Some(set) = sets.iter().find(|set| is_asked(set, question.rtype())) {
            return Answer::found(Records::Static(set)).with(aliases);
        }
        if let Some(set) = zone.signing_set(question.rtype()).filter(|_| name == zone.name.apex().as_ref()) {
            return Answer::found(Records::Static(set)).with(aliases);
        }
        let alias = sets.iter().find(|set| set.rtype == RecordType::CNAME);
        let Some(alias) = alias.filter(|_| !is_beside_an_alias(zone, question.rtype())) else {
            return Answer::no_data(zone, serial).with(aliases);
        };
        aliases.push(alias);
        match cname_target(sets) {
            Some(target) if aliases.len() <= MAX_CHAIN => name = NameRef::lowered(target, &mut buffer),
            _ => return Answer::fault(), // the configuration is checked to have no such chain
        }
    }
}

fn nowhere<'z>(zone: &'z Zone, serial: Serial, name: NameRef<'_>) -> Answer<'z> {
    let asked = if zone.has_owner_above(name) { AskedName::BelowOwner } else { AskedName::Other };
    Answer { asked, ..Answer::name_error(zone, serial) }
}

/// Whether a set answers a question for this type. ANY gets the first set only, so that it cannot be used for floods (RFC
/// 8482 section 4.1). A name without records is NODATA for ANY too, because the HINFO record of RFC 8482 stands for records
/// that are held back.
fn is_asked(set: &RecordSet, rtype: RecordType) -> bool {
    set.rtype == rtype || rtype == RecordType::ANY || mail_types(rtype).contains(&u16::from(set.rtype))
}

/// The types that MAILB and MAILA ask for (RFC 1035 section 3.2.3). Hardly any zone has such records.
fn mail_types(rtype: RecordType) -> &'static [u16] {
    const MD_MF: [u16; 2] = [3, 4];
    const MB_MG_MR_MINFO: [u16; 4] = [7, 8, 9, 14];
    match u16::from(rtype) {
        253 => &MB_MG_MR_MINFO,
        254 => &MD_MF,
        _ => &[],
    }
}

/// Whether a type exists beside a CNAME in a signed zone (RFC 4034 sections 3 and 4), so that a question for it does not
/// follow the alias.
fn is_beside_an_alias(zone: &Zone, rtype: RecordType) -> bool {
    zone.signing.is_some() && matches!(rtype, RecordType::RRSIG | RecordType::NSEC)
}

/// A registered name is never a name error. Clients and resolvers ask for other types first, or before the first value,
/// and would cache the error (RFC 8020).
fn at_owner(zone: &Zone, serial: Serial, rtype: RecordType, slot: OwnerState, now: RunningTime) -> Answer<'_> {
    let no_data = || Answer { asked: AskedName::Owner, ..Answer::no_data(zone, serial) };
    if slot == OwnerState::Disabled {
        return Answer { ede: Some(Ede::DISABLED), ..no_data() };
    }
    if !matches!(rtype, RecordType::TXT | RecordType::ANY) {
        return no_data();
    }
    let live = LiveTxt { slot, now, ttl: zone.txt_ttl };
    if live.texts().next().is_some() {
        return Answer { asked: AskedName::Owner, serial, ..Answer::found(Records::Live(live)) };
    }
    let ede = live.slot.last_expiry().map_or(Ede::NO_VALUE, |at| Ede::expired(now.since(at)));
    Answer { ede: Some(ede), ..no_data() }
}

impl<'z> Answer<'z> {
    /// Records, or the end of a chain that leads out of the zone.
    pub fn found(records: Records<'z>) -> Self {
        Self { is_authoritative: true, records, ..Self::bare(ResponseCode::NoError) }
    }

    /// The zone's SOA.
    pub fn soa(zone: &'z Zone, serial: Serial) -> Self {
        Self { serial, ..Self::found(Records::Soa(zone)) }
    }

    /// The name is there and has no records of this type (NOERROR, RFC 2308 section 2.2).
    pub fn no_data(zone: &'z Zone, serial: Serial) -> Self {
        Self { is_authoritative: true, negative: Some(zone), serial, ..Self::bare(ResponseCode::NoError) }
    }

    /// Nothing is at the name or below it (NXDOMAIN, RFC 8020).
    pub fn name_error(zone: &'z Zone, serial: Serial) -> Self {
        Self { is_authoritative: true, negative: Some(zone), serial, ..Self::bare(ResponseCode::NXDomain) }
    }

    /// The name is in no zone of this server.
    pub fn not_ours() -> Self {
        Self { ede: Some(Ede::NOT_AUTHORITATIVE), ..Self::bare(ResponseCode::Refused) }
    }

    /// No zone is loaded yet. The client tries another server, or asks again.
    pub fn not_ready() -> Self {
        Self { ede: Some(Ede::NOT_READY), ..Self::bare(ResponseCode::ServFail) }
    }

    /// An internal fault, which says nothing about the zone.
    pub fn fault() -> Self {
        Self { ede: Some(Ede::FAULT), ..Self::bare(ResponseCode::ServFail) }
    }

    /// An internal fault in place of this answer, to the same query for the query log.
    pub fn failed(&self) -> Self {
        Self { asked: self.asked, serial: self.serial, ..Self::fault() }
    }

    /// A refusal: no records, and AA clear.
    pub fn refused(refusal: ErrorReply) -> Self {
        Self { ede: refusal.ede, ..Self::bare(refusal.rcode) }
    }

    /// A response code and no records.
    pub fn bare(rcode: ResponseCode) -> Self {
        Self {
            rcode,
            is_authoritative: false,
            aliases: Vec::new(),
            records: Records::None,
            negative: None,
            serial: Serial(0),
            ede: None,
            signing: SigningOutcome::Unsigned,
            asked: AskedName::Other,
        }
    }

    fn with(self, aliases: Vec<&'z RecordSet>) -> Self {
        Self { aliases, ..self }
    }
}
