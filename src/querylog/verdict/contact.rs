//! What one network asked for, and what it got.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::super::evidence::{LoggedQuery, OwnerEvidence, Phase, ValueEvidence};
use super::super::message::ReplyOutcome;
use super::code::VerdictCode;
use super::context::VerdictContext;

/// How long before a publication a query is taken for one that came too early. A client that tells the CA first
/// publishes within seconds; a CA's queries from hours ago were for another value.
const EARLY: Duration = Duration::from_secs(120);

/// Types for which clients, the hook among them, look where a name leads and who serves it. They tell nothing of a CA.
const LOOK_UPS: [RecordType; 3] = [RecordType::CNAME, RecordType::NS, RecordType::SOA];

/// One network, and what became of its queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkContact {
    /// The network.
    pub network: QueryNetwork,
    /// What became of its queries.
    pub contact: Contact,
}

/// What became of the queries of a network, as far as a value is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// The network got the value.
    Served,
    /// The rate limit withheld this many replies.
    Limited(usize),
    /// The answer was truncated, and not asked for again over TCP.
    Truncated,
    /// The reply was an error.
    Failed(ResponseCode),
    /// The answer was without the value; whether it had others.
    Without { had_values: bool },
    /// The network asked shortly before the publication, and not since.
    Early(EarlyAnswer),
    /// The network asked only after the value was retired: the first time, and how long after.
    Late { at: PreciseTimestamp, after: Duration },
    /// The network asked below the name only: the last name.
    TooDeep(String),
    /// The network asked for these types only.
    OtherTypes(BTreeSet<RecordType>),
}

/// An answer from before the publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyAnswer {
    /// When it was given.
    pub at: PreciseTimestamp,
    /// Whether it had values.
    pub had_values: bool,
    /// Until when a resolver may keep it.
    pub kept_until: PreciseTimestamp,
}

impl Contact {
    /// The verdict on a value that found no other contact.
    pub fn code(&self) -> Option<VerdictCode> {
        match self {
            Self::Served => None,
            Self::Limited(_) => Some(VerdictCode::RateLimited),
            Self::Truncated => Some(VerdictCode::TruncatedNoTcp),
            Self::Failed(_) => Some(VerdictCode::ServerFailure),
            Self::Without { .. } => Some(VerdictCode::AnsweredWithoutValue),
            Self::Early(_) => Some(VerdictCode::AskedTooEarly),
            Self::Late { .. } => Some(VerdictCode::AskedTooLate),
            Self::TooDeep(_) => Some(VerdictCode::AskedTooDeep),
            Self::OtherTypes(_) => Some(VerdictCode::OtherTypesOnly),
        }
    }
}

/// Whether a query is one to which a value could be the answer.
pub fn is_for_values(query: &LoggedQuery) -> bool {
    !query.is_own && !query.is_below && query.rtype == RecordType::TXT
}

/// What each network got that has asked since the publication, or shortly before it.
pub fn of_networks(
    evidence: &OwnerEvidence,
    value: &ValueEvidence,
    context: VerdictContext<'_>,
) -> Vec<NetworkContact> {
    let mut networks: Vec<QueryNetwork> = value.networks.iter().map(|network| network.network).collect();
    for query in evidence.queries.iter().filter(|query| !query.is_own) {
        if !networks.contains(&query.network) {
            networks.push(query.network);
        }
    }
    let contacts = networks.into_iter().filter_map(|network| {
        let queries = evidence.queries.iter().filter(|query| !query.is_own && query.network == network);
        let contact = contact(queries.collect(), network, value, context)?;
        Some(NetworkContact { network, contact })
    });
    contacts.collect()
}

/// What became of the queries of one network, oldest first; `None` if none concerns the value.
fn contact(
    queries: Vec<&LoggedQuery>,
    network: QueryNetwork,
    value: &ValueEvidence,
    context: VerdictContext<'_>,
) -> Option<Contact> {
    if value.networks.iter().any(|got| got.network == network) {
        return Some(Contact::Served);
    }
    let of_phase = |phase| -> Vec<&LoggedQuery> {
        queries.iter().copied().filter(|query| value.phase_of(query) == phase).collect()
    };
    let before = of_phase(Phase::BeforePublication);
    let during = of_phase(Phase::WhileServed);
    let after = of_phase(Phase::AfterRetirement);
    // Only the first networks are kept of a value; the queries tell of later ones.
    let is_served = |query: &&LoggedQuery| query.outcome == ReplyOutcome::Sent && query.values.contains(&value.value);
    if during.iter().any(is_served) {
        return Some(Contact::Served);
    }
    in_vain(&during)
        .or_else(|| early(&before, value, context))
        .or_else(|| late(&after, value))
        .or_else(|| aside(&during))
}

/// Queries for the value while it was there.
fn in_vain(during: &[&LoggedQuery]) -> Option<Contact> {
    let asked: Vec<&&LoggedQuery> = during.iter().filter(|query| is_for_values(query)).collect();
    let last = asked.last()?;
    let limited = asked.iter().filter(|query| query.outcome.is_limited()).count();
    let contact = match (last.outcome, last.rcode) {
        (ReplyOutcome::Slipped | ReplyOutcome::Dropped, _) => Contact::Limited(limited),
        // Its sender gets the answer to the same question.
        (ReplyOutcome::Unanswered, _) => return None,
        (ReplyOutcome::Sent, ResponseCode::NoError | ResponseCode::NXDomain) if last.is_truncated => Contact::Truncated,
        (ReplyOutcome::Sent, ResponseCode::NoError | ResponseCode::NXDomain) => {
            Contact::Without { had_values: !last.values.is_empty() }
        }
        (ReplyOutcome::Sent, rcode) => Contact::Failed(rcode),
    };
    Some(contact)
}

/// The last answer from shortly before the publication.
fn early(before: &[&LoggedQuery], value: &ValueEvidence, context: VerdictContext<'_>) -> Option<Contact> {
    let answered = |query: &&&LoggedQuery| is_for_values(query) && query.outcome == ReplyOutcome::Sent;
    let last = before.iter().rfind(answered)?;
    let had_values = !last.values.is_empty();
    let lifetime = if had_values { context.lifetimes.values } else { context.lifetimes.empty };
    let kept_until = last.until.plus(Duration::from_secs(lifetime.into()));
    let is_near = value.published.since(last.until) <= EARLY || kept_until > value.published;
    is_near.then_some(Contact::Early(EarlyAnswer { at: last.until, had_values, kept_until }))
}

/// The first query after the value was retired.
fn late(after: &[&LoggedQuery], value: &ValueEvidence) -> Option<Contact> {
    let first = after.iter().find(|query| is_for_values(query))?;
    let after = first.at.since(value.retired?);
    (after <= EARLY).then_some(Contact::Late { at: first.at, after })
}

/// Queries at other names, or for other types.
fn aside(during: &[&LoggedQuery]) -> Option<Contact> {
    if let Some(deep) = during.iter().rev().find(|query| query.is_below && query.rtype == RecordType::TXT) {
        return Some(Contact::TooDeep(deep.name.clone()));
    }
    let asked = during.iter().filter(|query| !query.is_below && !LOOK_UPS.contains(&query.rtype));
    let types: BTreeSet<RecordType> = asked.map(|query| query.rtype).collect();
    (!types.is_empty()).then_some(Contact::OtherTypes(types))
}
