//! Whether this machine's clock is right.

use std::net::SocketAddr;
use std::time::SystemTime;

use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use crate::delegation::finding::Assessment;
use crate::model::name::Name;
use crate::model::time::Timestamp;
use crate::net::dns_client::Protocol;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;
use super::authority;

/// A difference of more seconds than this is a fault.
const WRONG_BY: i64 = 300;
/// A difference of more seconds than this is a warning.
const DRIFT: i64 = 30;
/// The most servers of the root that are asked.
const MAX_ROOTS: usize = 4;

pub static CHECK: Check = Check {
    id: "clock",
    group: Group::Machine,
    title: "Clock",
    looks_at: "The machine's clock against three others, as far as they can be had: the last stored change, the date in the \
               CA's reply, and the times of the signature over the root zone's SOA record.",
    after: &["ca"],
    faults: &[&BEHIND, &WRONG, &DRIFTING],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const BEHIND: Fault = Fault {
    code: "clock-behind",
    assessment: Assessment::Fault,
    meaning: "the clock is behind the last stored change, so nothing new is signed",
    mend: "correct the clock, or, if it is right now, run `txtgate dnssec trust-clock`",
};

const WRONG: Fault = Fault {
    code: "clock-wrong",
    assessment: Assessment::Fault,
    meaning: "signatures of signed zones get times at which resolvers refuse them, and certificates seem not yet or no \
              longer valid",
    mend: "switch a time service on: `timedatectl set-ntp true`, and look at `timedatectl`",
};

const DRIFTING: Fault = Fault {
    code: "clock-drifting",
    assessment: Assessment::Warning,
    meaning: "nothing fails yet; no time service seems to correct the clock",
    mend: "switch a time service on: `timedatectl set-ntp true`, and look at `timedatectl`",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    if let Some(Err(behind)) = examination.publisher.as_ref().map(|publisher| publisher.machine_clock()) {
        findings.add(BEHIND.found("the clock", "the clock and the last stored change", behind));
    }
    let (by_authority, by_root) = tokio::join!(of_authority(examination), of_root(examination));
    let mut is_compared = false;
    for (question, seconds) in [("the date in the CA's reply", by_authority), ("the signature over the root", by_root)]
    {
        let Some(seconds) = seconds else { continue };
        is_compared = true;
        judge(question, seconds, findings);
    }
    if !is_compared && findings.iter().next().is_none() {
        findings.good("the clock", "a clock to compare with", "none could be asked");
    }
}

fn judge(question: &str, seconds: i64, findings: &mut Findings) {
    let side = if seconds > 0 { "ahead" } else { "behind" };
    let answer = format!("the machine's clock is {} s {side}", seconds.abs());
    match seconds.abs() {
        0..=DRIFT => findings.good("the clock", question, answer),
        31..=WRONG_BY => findings.add(DRIFTING.found("the clock", question, answer)),
        _ => findings.add(WRONG.found("the clock", question, answer)),
    }
}

/// By how many seconds the clock is ahead of the CA's.
async fn of_authority(examination: &Examination) -> Option<i64> {
    if !authority::is_used(examination) {
        return None;
    }
    let reached = examination.reached_authority().await.as_ref().ok()?;
    Some(difference(reached.own_date, reached.date?))
}

/// By how many seconds the clock is outside the time of the root's signature; zero within it. `None` where the root is not
/// signed or cannot be asked.
async fn of_root(examination: &Examination) -> Option<i64> {
    let root: Name = ".".parse().ok()?;
    let mut asking = JoinSet::new();
    for &server in examination.roots.servers().iter().take(MAX_ROOTS) {
        let (client, at, root) =
            (examination.dns.clone(), SocketAddr::new(server, examination.dns_port()), root.clone());
        asking.spawn(async move {
            let answer = client.ask_strictly(&[], at, Protocol::UdpThenTcp, &root, RecordType::SOA).await;
            answer.reply.ok().and_then(|reply| reply.rdatas(RecordType::RRSIG).into_iter().next())
        });
    }
    while let Some(answer) = asking.join_next().await {
        if let Ok(Some((_, rdata))) = answer {
            return outside(&rdata, now());
        }
    }
    None
}

/// The seconds from the validity of a signature to `now` (RFC 4034 section 3.1).
fn outside(rrsig: &[u8], now: Timestamp) -> Option<i64> {
    let time = |at: usize| Some(Timestamp::from_unix(u32::from_be_bytes(*rrsig.get(at..)?.first_chunk()?).into()));
    let (end, begin) = (time(8)?, time(12)?);
    Some(if now < begin {
        difference(now, begin)
    } else if now > end {
        difference(now, end)
    } else {
        0
    })
}

fn difference(own: Timestamp, other: Timestamp) -> i64 {
    let seconds = |time: Timestamp| i64::try_from(time.as_unix()).unwrap_or(i64::MAX);
    seconds(own) - seconds(other)
}

fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_the_time_of_a_signature() {
        let mut rrsig = vec![0; 18];
        rrsig[8..12].copy_from_slice(&2_000_u32.to_be_bytes());
        rrsig[12..16].copy_from_slice(&1_000_u32.to_be_bytes());
        for (now, seconds) in [(900, -100), (1_000, 0), (2_000, 0), (2_400, 400)] {
            assert_eq!(outside(&rrsig, Timestamp::from_unix(now)), Some(seconds), "{now}");
        }
        assert_eq!(outside(&rrsig[..15], Timestamp::from_unix(1)), None);
    }

    #[test]
    fn differences_are_judged_by_their_size() {
        for (seconds, code) in
            [(30, None), (-31, Some("clock-drifting")), (300, Some("clock-drifting")), (-301, Some("clock-wrong"))]
        {
            let mut findings = Findings::default();
            judge("q", seconds, &mut findings);
            assert_eq!(findings.into_vec()[0].code, code, "{seconds}");
        }
    }
}
