//! What a rehearsal has found: printed for people, or as JSON.

use serde::Serialize;

use crate::model::time::relative::span;

/// The whole of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether there is no fault.
    pub sound: bool,
    /// Where the configuration is from.
    pub configuration: String,
    /// The daemon that has answered.
    pub daemon: DaemonReport,
    /// What cannot work, and what to know.
    pub findings: Vec<Finding>,
    /// The zones of the configuration.
    pub zones: Vec<ZoneReport>,
    /// Each name at which a CA looks.
    pub targets: Vec<TargetReport>,
    /// The records to add, by the zone that they belong to.
    pub records: Vec<RecordGroup>,
    /// How long it all took.
    pub milliseconds: u64,
}

/// The daemon that has answered.
#[derive(Debug, Serialize)]
pub struct DaemonReport {
    /// Whether it ran before, with this configuration.
    pub running: bool,
    /// The addresses that were asked for DNS.
    pub dns: Vec<String>,
    /// Where values were published.
    pub api: String,
}

/// Something that cannot work, or that is good to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether a CA finds nothing because of it.
    pub fault: bool,
    /// What was found, and what to do.
    pub problem: String,
}

impl Finding {
    /// Something because of which a CA finds nothing.
    pub fn fault(problem: String) -> Self {
        Self { fault: true, problem }
    }

    /// Something to know before the zones are delegated.
    pub fn note(problem: String) -> Self {
        Self { fault: false, problem }
    }
}

/// A zone of the daemon.
#[derive(Debug, Serialize)]
pub struct ZoneReport {
    /// Its name.
    pub name: String,
    /// Its nameservers with their addresses.
    pub nameservers: Vec<String>,
    /// Whether the zone is signed.
    pub signed: bool,
}

/// A name at which a CA looks.
#[derive(Debug, Serialize)]
pub struct TargetReport {
    /// The domain of the certificate; `None` where the account's own name is looked up.
    pub domain: Option<String>,
    /// The name that was looked up.
    pub challenge: String,
    /// The name of the temporary account.
    pub fulldomain: String,
    /// What became of each value.
    pub published: Vec<Published>,
    /// What each vantage point has found.
    pub vantages: Vec<VantageReport>,
    /// Whether each address has given the values over TCP as well.
    pub tcp: Vec<TcpReport>,
    /// What the daemon's query log has of it; `None` if there is no log, or nothing to be seen in it.
    pub query_log: Option<QueryLogReport>,
}

/// What the query log of the daemon has of a name.
#[derive(Debug, Serialize)]
pub struct QueryLogReport {
    /// Queries that got all the values.
    pub queries: u64,
    /// The networks that they came from.
    pub networks: Vec<String>,
    /// What the log makes of the values, in words.
    pub verdicts: Vec<String>,
}

/// A value that was sent to the API.
#[derive(Debug, Serialize)]
pub struct Published {
    /// What a CA would ask it for.
    pub identifier: String,
    /// The value.
    pub txt: String,
    /// Why it was not published.
    pub problem: Option<String>,
}

/// What one vantage point has found.
#[derive(Debug, Serialize)]
pub struct VantageReport {
    /// Where it is.
    #[serde(flatten)]
    pub point: VantagePoint,
    /// Why a CA would not issue from there.
    pub problem: Option<String>,
    /// Whether the answer is signed by a key that the parent's DS names.
    pub signed: bool,
    /// Each question in its order.
    pub steps: Vec<StepReport>,
}

/// Where a vantage point is.
#[derive(Debug, Serialize)]
pub struct VantagePoint {
    /// Its number, from 1.
    pub number: u8,
    /// The addresses that it has asked from.
    pub sources: Vec<String>,
}

/// A question and its reply.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// The zone whose nameserver was asked.
    pub zone: String,
    /// That nameserver, with its address.
    pub server: String,
    /// The name as it was sent.
    pub sent: String,
    /// The type that was asked for.
    pub rtype: String,
    /// UDP or TCP.
    pub protocol: String,
    /// How long the reply took.
    pub microseconds: u64,
    /// What came back.
    pub answer: String,
    /// The addresses that a referral has told.
    pub glue: Vec<String>,
    /// Whether the reply was of use.
    pub sound: bool,
}

/// Whether an address has given the values over TCP.
#[derive(Debug, Serialize)]
pub struct TcpReport {
    /// The address in the configuration.
    pub listener: String,
    /// Why it has not.
    pub problem: Option<String>,
}

/// The records to add to somebody's zone.
#[derive(Debug, Serialize)]
pub struct RecordGroup {
    /// Where they belong.
    pub zone: String,
    /// The records as zone files write them.
    pub records: Vec<RecordLine>,
    /// What to know about them.
    pub notes: Vec<String>,
}

/// A record as zone files write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordLine {
    /// The owner name, with its closing dot.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The data.
    pub data: String,
}

impl Report {
    /// How many things would keep a CA from issuing.
    pub fn faults(&self) -> usize {
        let found = self.findings.iter().filter(|finding| finding.fault).count();
        found + self.targets.iter().map(TargetReport::faults).sum::<usize>()
    }

    /// How long it took, for people.
    pub fn duration(&self) -> String {
        match self.milliseconds {
            ms @ ..1_000 => format!("{ms} ms"),
            short @ ..10_000 => format!("{}.{} s", short / 1_000, short % 1_000 / 100),
            long => span(long / 1_000),
        }
    }
}

impl TargetReport {
    fn faults(&self) -> usize {
        let published = self.published.iter().filter(|value| value.problem.is_some()).count();
        // Vantage points that fail for one reason have one fault.
        let mut problems: Vec<&String> = self.vantages.iter().filter_map(|vantage| vantage.problem.as_ref()).collect();
        problems.sort_unstable();
        problems.dedup();
        published + problems.len() + self.tcp.iter().filter(|listener| listener.problem.is_some()).count()
    }
}
