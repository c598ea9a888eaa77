//! What happened to one value: published, asked for by networks, retired. [`drawing`] draws it.

pub mod axis;
pub mod drawing;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::types::queries::QueryView;
use crate::api::types::values::Verdict;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;
use crate::querylog::message::ReplyOutcome;
use crate::querylog::vantages::{MIN_NETWORKS, WINDOW};
use crate::querylog::verdict::VerdictCode;

use super::page::Tone;

/// How long before the publication queries belong to a value, in milliseconds: a resolver keeps what it got then for
/// about as long.
const BEFORE: u64 = 10 * 60_000;
/// How long after the retirement, in milliseconds.
const AFTER: u64 = 60_000;
/// Networks that two validations of one CA share at least, where so many have asked: another CA asks from others.
const MIN_SHARED: usize = 2;

/// A value, as far as its drawing needs it.
#[derive(Debug, Clone)]
pub struct ValueStory<'a> {
    pub txt: &'a str,
    pub published: PreciseTimestamp,
    /// `None` while it is served.
    pub retired: Option<PreciseTimestamp>,
    pub verdict: Option<&'a Verdict>,
    /// The queries that belong to it, by network, in the order of their first queries; networks that were to ask, and have
    /// not, come last.
    pub lanes: Vec<Lane>,
    /// When the story was told.
    pub now: PreciseTimestamp,
}

/// The queries of one network.
#[derive(Debug, Clone)]
pub struct Lane {
    pub network: QueryNetwork,
    /// Whether this is the server itself.
    pub is_own: bool,
    /// From oldest to newest. Empty: a network that has asked for another value, and not for this one.
    pub marks: Vec<Mark>,
    /// Whether it is too early to say that the network did not ask.
    pub is_awaited: bool,
}

/// One query, or several equal ones.
#[derive(Debug, Clone)]
pub struct Mark {
    pub at: PreciseTimestamp,
    /// Milliseconds since the publication.
    pub offset: i64,
    pub repeats: u32,
    pub transport: &'static str,
    pub got: Got,
    /// What was got, in words.
    pub words: String,
    pub tone: Tone,
}

/// What a query got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// This value.
    Value,
    /// Other values alone.
    Other,
    /// An answer without values.
    Nothing,
    /// A truncated answer, which says to ask again over TCP.
    Truncated,
    /// An error, or no reply.
    Refused,
    /// What the query did not ask for: another type, or a name below.
    Elsewhere,
}

impl<'a> ValueStory<'a> {
    /// The story of a value by the queries for its name.
    pub fn of(
        txt: &'a str,
        (published, retired): (PreciseTimestamp, Option<PreciseTimestamp>),
        verdict: Option<&'a Verdict>,
        queries: &[&QueryView],
        now: PreciseTimestamp,
    ) -> Self {
        let from = published.as_millis().saturating_sub(BEFORE);
        let until = retired.map_or(u64::MAX, |retired| retired.as_millis().saturating_add(AFTER));
        let belongs = |query: &&&QueryView| (from..=until).contains(&query.time.as_millis());
        let mut lanes: BTreeMap<QueryNetwork, Lane> = BTreeMap::new();
        for query in queries.iter().filter(belongs) {
            let lane = lanes.entry(query.network).or_insert_with(|| Lane {
                network: query.network,
                is_own: query.own,
                marks: Vec::new(),
                is_awaited: false,
            });
            lane.marks.push(Mark::of(query, txt, published, retired));
        }
        let mut lanes: Vec<Lane> = lanes.into_values().collect();
        lanes.iter_mut().for_each(|lane| lane.marks.sort_by_key(|mark| mark.at));
        lanes.sort_by_key(|lane| lane.marks.first().map(|mark| mark.at));
        let mut story = Self { txt, published, retired, verdict, lanes, now };
        verdict.iter().flat_map(|verdict| &verdict.missing).for_each(|missing| story.add_missing(*missing));
        story
    }

    fn add_missing(&mut self, network: QueryNetwork) {
        if !self.lanes.iter().any(|lane| lane.network == network) {
            let is_awaited = self.code() == Some(VerdictCode::InProgress);
            self.lanes.push(Lane { network, is_own: false, marks: Vec::new(), is_awaited });
        }
    }

    /// Adds the networks that got an earlier value of the same name, and have not asked for this one. The verdict names them
    /// only where nothing else is wrong.
    pub fn compare_with(&mut self, earlier: &BTreeSet<QueryNetwork>) {
        let is_over = self.retired.is_some() || self.now.since(self.published) >= WINDOW;
        if !is_over || self.tone() != Tone::Bad || self.code() == Some(VerdictCode::VantageMissing) {
            return;
        }
        let asked = self.lanes.iter().filter(|lane| !lane.is_own && !lane.marks.is_empty());
        let asked: BTreeSet<QueryNetwork> = asked.map(|lane| lane.network).collect();
        if asked.intersection(earlier).count() >= MIN_SHARED.min(asked.len()) {
            earlier.iter().for_each(|network| self.add_missing(*network));
        }
    }

    /// The networks that got the value, if they are so many that a CA has validated it, and nothing went wrong.
    pub fn validated_by(&self) -> Option<BTreeSet<QueryNetwork>> {
        let good = self.lanes.iter().filter(|lane| !lane.is_own && lane.tone() == Tone::Good);
        let networks: BTreeSet<QueryNetwork> = good.map(|lane| lane.network).collect();
        (self.tone() == Tone::Good && networks.len() >= MIN_NETWORKS).then_some(networks)
    }

    /// The networks that did not ask, although others have asked or the networks have asked before.
    pub fn silent(&self) -> Vec<QueryNetwork> {
        let silent = self.lanes.iter().filter(|lane| lane.marks.is_empty() && !lane.is_awaited);
        silent.map(|lane| lane.network).collect()
    }

    fn code(&self) -> Option<VerdictCode> {
        self.verdict.map(|verdict| verdict.code)
    }

    /// How good or bad it went.
    pub fn tone(&self) -> Tone {
        use VerdictCode as Code;
        match self.code() {
            Some(Code::ServedEverywhere | Code::Served) => Tone::Good,
            None | Some(Code::InProgress | Code::NotRecorded | Code::Unknown) => Tone::Neutral,
            Some(Code::NobodyAsked) if self.is_new() => Tone::Neutral,
            Some(_) => Tone::Bad,
        }
    }

    /// Whether nobody needs to have asked yet.
    fn is_new(&self) -> bool {
        self.retired.is_none() && self.now.since(self.published).as_secs() < 10
    }

    /// How it went, in a word.
    pub fn word(&self) -> &'static str {
        use VerdictCode as Code;
        match self.code() {
            Some(Code::ServedEverywhere) => "Served everywhere",
            Some(Code::Served) => "Served",
            Some(Code::InProgress) => "In progress",
            Some(Code::NobodyAsked) if self.is_new() => "Waiting",
            Some(Code::NobodyAsked) => "Nobody asked",
            Some(Code::VantageMissing) => "A network is missing",
            Some(Code::StaleCache) => "Stale cache",
            Some(Code::AskedTooEarly) => "Asked too early",
            Some(Code::AskedTooLate) => "Asked too late",
            Some(Code::TruncatedNoTcp) => "Truncated, no TCP",
            Some(Code::RateLimited) => "Rate limited",
            Some(Code::ServerFailure) => "Server failure",
            Some(Code::AnsweredWithoutValue) => "Answered without it",
            Some(Code::AskedTooDeep) => "Asked below the name",
            Some(Code::OtherTypesOnly) => "Other types only",
            Some(Code::OtherAccount) => "CNAME leads elsewhere",
            Some(Code::NothingPublished) => "Nothing published",
            None | Some(Code::NotRecorded | Code::Unknown) => "Not known",
        }
    }
}

impl Lane {
    /// How it went for the network: its best mark, because a resolver that got the value in the end has it.
    pub fn tone(&self) -> Tone {
        let has = |tone: Tone| self.marks.iter().any(|mark| mark.tone == tone);
        if self.is_awaited {
            Tone::Neutral
        } else if self.marks.is_empty() || (has(Tone::Bad) && !has(Tone::Good)) {
            Tone::Bad
        } else if has(Tone::Good) {
            Tone::Good
        } else if has(Tone::Warning) {
            Tone::Warning
        } else {
            Tone::Neutral
        }
    }

    /// The same in words.
    pub fn words(&self) -> String {
        let best = self.marks.iter().find(|mark| mark.got == Got::Value);
        match best.or(self.marks.last()) {
            Some(mark) if mark.got == Got::Value => format!("got it at {}", axis::offset(mark.offset)),
            Some(mark) => mark.words.clone(),
            None if self.is_awaited => "has not asked yet".to_owned(),
            None => "did not ask".to_owned(),
        }
    }

    /// The transports, like `UDP, TCP`.
    pub fn transports(&self) -> String {
        let mut found: Vec<&str> = self.marks.iter().map(|mark| mark.transport).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        found.join(", ")
    }
}

impl Mark {
    fn of(query: &QueryView, txt: &str, published: PreciseTimestamp, retired: Option<PreciseTimestamp>) -> Self {
        let millis = |at: PreciseTimestamp| i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let (got, words) = got(query, txt);
        let is_early = query.until < published;
        let is_late = retired.is_some_and(|retired| query.time > retired);
        let tone = match got {
            Got::Value => Tone::Good,
            Got::Elsewhere => Tone::Neutral,
            _ if is_late => Tone::Neutral,
            Got::Truncated => Tone::Warning,
            _ if is_early => Tone::Warning,
            Got::Other | Got::Nothing | Got::Refused => Tone::Bad,
        };
        let words = match (is_early, is_late) {
            (true, _) => format!("{words}, before publication"),
            (_, true) => format!("{words}, after retirement"),
            (false, false) => words,
        };
        let offset = millis(query.time).saturating_sub(millis(published));
        let transport = match query.transport.as_str() {
            "udp" => "UDP",
            "tcp" => "TCP",
            "tls" => "TLS",
            _ => "QUIC",
        };
        Self { at: query.time, offset, repeats: query.repeats, transport, got, words, tone }
    }
}

fn got(query: &QueryView, txt: &str) -> (Got, String) {
    let is_truncated = query.truncated || query.outcome == ReplyOutcome::Slipped;
    let is_negative = matches!(query.rcode.as_str(), "NOERROR" | "NXDOMAIN");
    if query.below {
        return (Got::Elsewhere, "asked below the name".to_owned());
    }
    if query.rtype != "TXT" {
        return (Got::Elsewhere, format!("asked for {}", query.rtype));
    }
    match query.outcome {
        ReplyOutcome::Dropped => return (Got::Refused, "no reply: over the rate limit".to_owned()),
        ReplyOutcome::Unanswered => return (Got::Refused, "no reply".to_owned()),
        ReplyOutcome::Slipped | ReplyOutcome::Sent => {}
    }
    if is_truncated {
        (Got::Truncated, "truncated".to_owned())
    } else if query.values.iter().any(|value| value == txt) {
        (Got::Value, "got this value".to_owned())
    } else if !is_negative {
        (Got::Refused, format!("got {}", query.rcode))
    } else if query.values.is_empty() {
        (Got::Nothing, "got an empty answer".to_owned())
    } else {
        (Got::Other, "got another value".to_owned())
    }
}

#[cfg(test)]
mod tests;
