//! Verdicts in plain words.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::ResponseCode;

use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::super::evidence::ValueEvidence;
use super::super::vantages::Validation;
use super::code::VerdictCode;
use super::contact::{Contact, EarlyAnswer, NetworkContact};
use super::context::{LeadsTo, VerdictContext};

/// Networks that a sentence names; the others are counted.
const MAX_NAMED: usize = 4;

pub fn served(networks: &BTreeSet<QueryNetwork>, slowest: Duration) -> String {
    let within = span(slowest);
    match networks.len() {
        1 => format!("{} asked within {within} of publication, and got this value", named(networks.iter())),
        count => format!("{count} networks asked within {within} of publication, each got this value"),
    }
}

pub fn in_progress(count: usize, earlier: &Validation, now: PreciseTimestamp) -> String {
    let asked = if count == 1 { "1 network has".to_owned() } else { format!("{count} networks have") };
    let of = earlier.networks.len();
    format!("{asked} asked so far and got this value; the validation at {} was asked by {of}", clock(earlier.at, now))
}

pub fn missing(count: usize, earlier: &Validation, missing: &[QueryNetwork], now: PreciseTimestamp) -> String {
    let (of, at) = (earlier.networks.len(), clock(earlier.at, now));
    let have = if missing.len() == 1 { "has" } else { "have" };
    format!(
        "asked by {}; the validation at {at} was asked by {of}: {} {have} not asked; does a firewall keep some networks \
         from port 53, or is one of the nameservers down?",
        networks(count),
        named(missing.iter())
    )
}

/// What is wrong with some networks, after how many others got the value.
pub fn beside(served: usize, problem: String) -> String {
    match served {
        0 => problem,
        count => format!("{} got this value; {problem}", networks(count)),
    }
}

pub fn unserved(code: VerdictCode, contacts: &[&NetworkContact]) -> String {
    let who = named(contacts.iter().map(|contact| &contact.network));
    let has = if contacts.len() == 1 { "has" } else { "have" };
    match code {
        VerdictCode::RateLimited => format!(
            "the rate limit withheld the answer from {who}, which {has} not asked again over TCP: is TCP port 53 open, \
             and does `answers-per-second` under [dns] suit your traffic?"
        ),
        VerdictCode::TruncatedNoTcp => format!(
            "the answer to {who} was truncated, because it does not fit into UDP, and {} not asked for again over TCP: is \
             TCP port 53 open? Fewer values at the name would fit",
            if contacts.len() == 1 { "was" } else { "each was" }
        ),
        VerdictCode::ServerFailure => {
            let rcode = contacts.iter().find_map(|contact| match contact.contact {
                Contact::Failed(rcode) => Some(rcode),
                _ => None,
            });
            format!("{who} asked and got {}: see the daemon's log", rcode.map(rcode_text).unwrap_or_default())
        }
        _ => {
            let had_values = |contact: &&NetworkContact| contact.contact == Contact::Without { had_values: true };
            let got = if contacts.iter().any(had_values) { "other values only" } else { "no value" };
            format!("{who} asked while this value was published, and got {got}")
        }
    }
}

pub fn stale(contacts: &[&NetworkContact], now: PreciseTimestamp) -> String {
    let who = named(contacts.iter().map(|contact| &contact.network));
    let early = early_answers(contacts);
    let got = if early.iter().any(|early| early.had_values) { "older values" } else { "no value" };
    let until = early.iter().map(|early| early.kept_until).max().unwrap_or(now);
    let (may, until) = (if until > now { "may keep" } else { "may have kept" }, clock(until, now));
    format!("{who} asked before publication, got {got}, and {may} that answer until {until}")
}

pub fn too_early(contacts: &[&NetworkContact], value: &ValueEvidence, context: VerdictContext<'_>) -> String {
    let early = early_answers(contacts);
    let last = early.iter().map(|early| early.at).max().unwrap_or(value.published);
    let until = early.iter().map(|early| early.kept_until).max().unwrap_or(value.published);
    let resolver = if contacts.len() == 1 { "its resolver keeps" } else { "their resolvers keep" };
    format!(
        "{} asked {} before publication, got no value, and did not ask again: the CA was told too early; {resolver} the \
         empty answer for {} s, until {}",
        named(contacts.iter().map(|contact| &contact.network)),
        span(value.published.since(last)),
        context.lifetimes.empty,
        clock(until, context.now)
    )
}

/// Networks that have asked, but not for the value while it was there.
pub fn missed(code: VerdictCode, contacts: &[&NetworkContact], owner: &Owner, now: PreciseTimestamp) -> String {
    let who = named(contacts.iter().map(|contact| &contact.network));
    let first = contacts.first().map(|contact| &contact.contact);
    match (code, first) {
        (_, Some(Contact::Late { at, after })) => format!(
            "{who} asked at {}, {} after the value was retired: the client cleaned up before the CA looked",
            clock(*at, now),
            span(*after)
        ),
        (_, Some(Contact::TooDeep(name))) => format!(
            "{who} asked at {}, below the name with the values: let the CNAME lead to {owner} itself",
            shortened(name)
        ),
        _ => {
            let types: BTreeSet<String> = contacts.iter().flat_map(|contact| types(&contact.contact)).collect();
            format!(
                "{who} asked for {} only, never for TXT, so no validation got as far as the TXT look-up",
                all_of(types)
            )
        }
    }
}

pub fn other_account(leads_to: &LeadsTo, owner: &Owner) -> String {
    let LeadsTo { challenge, end } = leads_to;
    format!(
        "nobody has asked here: {challenge} leads to {end}, which is another account's name; let its CNAME lead to {owner}"
    )
}

pub fn not_recorded(since: PreciseTimestamp, now: PreciseTimestamp) -> String {
    format!("unknown: the query log begins at {}, after publication", clock(since, now))
}

/// What to say where changes were missed.
pub fn not_known(until: PreciseTimestamp, now: PreciseTimestamp) -> String {
    format!("some of what happened before {} is not known", clock(until, now))
}

pub fn nobody_asked(is_new: bool) -> String {
    if is_new {
        return "nobody has asked yet".to_owned();
    }
    "nobody has asked since publication: the CA did not reach this server; is the challenge's CNAME in place, and is \
     port 53 open to the world?"
        .to_owned()
}

pub fn nothing_published(networks: &BTreeSet<QueryNetwork>, last: PreciseTimestamp, now: PreciseTimestamp) -> String {
    format!("{} asked for a value, last at {}, while none was published", named(networks.iter()), clock(last, now))
}

fn early_answers<'c>(contacts: &[&'c NetworkContact]) -> Vec<&'c EarlyAnswer> {
    let early = contacts.iter().filter_map(|contact| match &contact.contact {
        Contact::Early(early) => Some(early),
        _ => None,
    });
    early.collect()
}

fn types(contact: &Contact) -> Vec<String> {
    match contact {
        Contact::OtherTypes(types) => types.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// `A`, `A and CAA`, `A, AAAA and CAA`.
fn all_of(items: impl IntoIterator<Item = impl ToString>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.pop() {
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// How many networks.
fn networks(count: usize) -> String {
    if count == 1 { "1 network".to_owned() } else { format!("{count} networks") }
}

/// The networks themselves where they are few, and their number otherwise.
fn named<'n>(all: impl Iterator<Item = &'n QueryNetwork>) -> String {
    let all: Vec<_> = all.collect();
    if all.len() <= MAX_NAMED { all_of(all) } else { networks(all.len()) }
}

/// `0.4 s`, `34 s`, `5 min`, `3 h`. Tenths are rounded up: nothing happens within 0.0 s.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let tenths = time.as_millis().div_ceil(100);
    match seconds {
        0..10 => format!("{}.{} s", tenths / 10, tenths % 10),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The time of day in UTC, with the date where it is not today's.
fn clock(at: PreciseTimestamp, now: PreciseTimestamp) -> String {
    let text = at.seconds().to_string();
    let (date, time) = text.split_once('T').unwrap_or(("", &text));
    let time = time.trim_end_matches('Z');
    let is_today = now.seconds().to_string().starts_with(date);
    if is_today { format!("{time} UTC") } else { format!("{date} {time} UTC") }
}

/// A name that strangers have sent, no longer than a line.
fn shortened(name: &str) -> String {
    const MAX: usize = 100;
    if name.len() <= MAX { name.to_owned() } else { format!("{}...", name.chars().take(MAX).collect::<String>()) }
}

/// The response code as dig prints it: `NoError` reads NOERROR.
fn rcode_text(rcode: ResponseCode) -> String {
    format!("{rcode:?}").to_ascii_uppercase()
}
