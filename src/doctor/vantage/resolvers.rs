//! Whether recursive resolvers elsewhere see a value that has just been published.

use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::acme::key::base64url;
use crate::delegation::finding::Assessment;
use crate::model::actor::Actor;
use crate::model::name::{Name, Owner, ZoneName};
use crate::model::txt::TxtValue;
use crate::net::dns_client::{AskError, DnsClient, DnsReply, Upstream};
use crate::publisher::Publisher;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// The pause before a resolver is asked again that has not seen the value: longer than the TTL of values.
const AGAIN: Duration = Duration::from_millis(1_500);

pub static CHECK: Check = Check {
    id: "resolvers",
    group: Group::Vantage,
    title: "Resolvers elsewhere",
    looks_at: "Whether the resolvers in [doctor], and those of `--resolver`, see a random value that the daemon publishes \
               for the purpose under a name of its own in each zone, and retires again. Without any, nobody is asked.",
    after: &["daemon", "listeners", "parent-zone", "delegated", "glue", "reachable", "authority"],
    faults: &[&FAILS, &BLIND, &SILENT, &UNPUBLISHED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const FAILS: Fault = Fault {
    code: "resolver-fails",
    assessment: Assessment::Fault,
    meaning: "the resolver finds the zone and no usable answer; the usual causes are an unreachable nameserver and DNSSEC",
    mend: "mend what the checks of the delegation have found; if they found nothing, look with `dig +trace` and `delv` from \
           another network",
};

const BLIND: Fault = Fault {
    code: "resolver-without-value",
    assessment: Assessment::Fault,
    meaning: "the resolver got an answer without the value: from another server, or from before the publication",
    mend: "look for a nameserver in the delegation that is not this server or its secondary, and for a cache between",
};

const SILENT: Fault = Fault {
    code: "resolver-silent",
    assessment: Assessment::Unknown,
    meaning: "the resolver does not answer, which says nothing of the zone",
    mend: "correct the resolver's address in [doctor], or let this machine reach it",
};

const UNPUBLISHED: Fault = Fault {
    code: "probe-unpublished",
    assessment: Assessment::Fault,
    meaning: "clients cannot publish values either",
    mend: "look at the database in the findings above, and at the log",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    if examination.upstreams.is_empty() {
        return;
    }
    let (Some(publisher), Some(_)) = (&examination.publisher, &examination.daemon) else {
        return findings.good("resolvers", "a value to look for", "only a running daemon can publish one");
    };
    let zones: Vec<ZoneName> = publisher.zones().load().iter().map(|zone| zone.name.clone()).collect();
    let mut asking = JoinSet::new();
    for (index, zone) in zones.iter().enumerate() {
        let Some(owner) = Owner::probe(zone) else { continue };
        let question = format!("TXT of {owner}");
        match Probe::publish(publisher, owner).await {
            Ok(probe) => {
                let (client, upstreams) = (examination.dns.clone(), examination.upstreams.clone());
                let roots = examination.config.acme.ca_root.clone();
                asking.spawn(async move { (index, probe.seen_by(&client, upstreams, roots).await) });
            }
            Err(error) => findings.add(UNPUBLISHED.found(zone, question, error).in_zone(zone)),
        }
    }
    let mut seen = asking.join_all().await;
    seen.sort_by_key(|(index, _)| *index);
    for (index, views) in seen {
        judge(&zones[index], views, findings);
    }
}

/// A value that is published as long as this exists.
struct Probe {
    publisher: Publisher,
    owner: Owner,
    txt: TxtValue,
}

/// What one resolver sees.
struct View {
    upstream: Upstream,
    answer: Result<DnsReply, AskError>,
    has_value: bool,
}

impl Probe {
    async fn publish(publisher: &Publisher, owner: Owner) -> Result<Self, String> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).map_err(|_| "no random number".to_owned())?;
        let txt: TxtValue = base64url(&random).parse().map_err(|_| "no value of its own".to_owned())?;
        let probe = Self { publisher: publisher.clone(), owner: owner.clone(), txt };
        // Dropping the probe retires the value, also where the publication is no longer waited for.
        publisher.publish(Actor::UPKEEP, owner, txt).await.map_err(|error| error.to_string())?;
        Ok(probe)
    }

    async fn seen_by(self, client: &DnsClient, upstreams: Vec<Upstream>, roots: Option<PathBuf>) -> Vec<View> {
        let Ok(name) = self.owner.to_string().parse::<Name>() else { return Vec::new() };
        let mut asking = JoinSet::new();
        for (index, upstream) in upstreams.into_iter().enumerate() {
            let (client, name, txt, roots) = (client.clone(), name.clone(), self.txt, roots.clone());
            asking.spawn(async move {
                let mut view = View::of(&client, upstream.clone(), &name, txt, &roots).await;
                if !view.has_value && view.answer.is_ok() {
                    sleep(AGAIN).await;
                    view = View::of(&client, upstream, &name, txt, &roots).await;
                }
                (index, view)
            });
        }
        let mut views = asking.join_all().await;
        views.sort_by_key(|(index, _)| *index);
        views.into_iter().map(|(_, view)| view).collect()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let (publisher, owner, txt) = (self.publisher.clone(), self.owner.clone(), self.txt);
        tokio::spawn(async move {
            // A value that stays behind expires, and is at a name where nobody looks.
            _ = publisher.retire(Actor::UPKEEP, owner, Some(txt)).await;
        });
    }
}

impl View {
    async fn of(client: &DnsClient, upstream: Upstream, name: &Name, txt: TxtValue, roots: &Option<PathBuf>) -> Self {
        let answer = client.ask_upstream(&upstream, name, RecordType::TXT, roots.as_deref()).await;
        let shown = answer.as_ref().map(DnsReply::txt_values).unwrap_or_default();
        let has_value = shown.iter().any(|value| value == txt.as_bytes());
        Self { upstream, answer, has_value }
    }
}

fn judge(zone: &ZoneName, views: Vec<View>, findings: &mut Findings) {
    let all = views.len();
    let seeing = views.iter().filter(|view| view.has_value).count();
    for View { upstream, answer, has_value } in views {
        let subject = upstream.to_string();
        let question = format!("a published value in {zone} at {upstream}");
        let found = match answer {
            Ok(_) if has_value => {
                findings.good(subject, question, "sees the value");
                continue;
            }
            Ok(reply) if matches!(reply.rcode(), ResponseCode::NoError | ResponseCode::NXDomain) => {
                let others = reply.answer_count();
                let answer = format!("answers {} with {others} records, none with the value", reply.rcode());
                BLIND.found(subject, question, format!("{answer}; {seeing} of {all} resolvers see it"))
            }
            Ok(reply) => {
                let answer = format!("answers {}; {seeing} of {all} resolvers see the value", reply.rcode());
                FAILS.found(subject, question, answer)
            }
            Err(error) => SILENT.found(subject, question, error),
        };
        findings.add(found.in_zone(zone));
    }
}
