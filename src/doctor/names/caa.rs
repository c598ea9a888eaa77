//! Whether CAA records let the CA in use issue.

use hickory_proto::rr::RecordType;

use crate::delegation::caa::{CaaRefusal, RelevantRecords, allows_some_ca, judge, refusal, relevant};
use crate::delegation::finding::{Assessment, Finding, question};
use crate::delegation::issuer::IssuerIdentity;
use crate::delegation::lookups::Lookups;
use crate::model::identifier::Identifier;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::{Findings, ScopedFinding};
use super::domains::{Domain, domains, for_each};
use super::issuer::{KnownIssuer, known_issuer};
use super::own::{Holder, OwnServer};

pub static CHECK: Check = Check {
    id: "caa",
    group: Group::Names,
    title: "CAA of the names",
    looks_at: "Looks up the CAA records of each name and of the names above it, and holds them against the CA in use, the \
               account there (`accounturi`), the validation method (`validationmethods`) and wildcards (`issuewild`). The client \
               of an account may use another CA, so for its names the records have to allow any CA by dns-01.",
    after: &["name-zone", "name-dnssec"],
    faults: &[&FAILED, &ISSUER, &WILDCARD, &ACCOUNT, &METHOD, &CRITICAL, &UNDECIDED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const FAILED: Fault = Fault {
    code: "caa-failed",
    assessment: Assessment::Fault,
    meaning: "a CA that cannot look CAA records up must not issue",
    mend: "have the nameservers of the zone answer questions for CAA: an old server or firewall may drop the type",
};

const ISSUER: Fault = Fault {
    code: "caa-issuer",
    assessment: Assessment::Fault,
    meaning: "the records name other CAs, so the CA in use may not issue",
    mend: "add a CAA record for the CA in use, or use one of those that are named",
};

const WILDCARD: Fault = Fault {
    code: "caa-wildcard",
    assessment: Assessment::Fault,
    meaning: "`issuewild` records keep the CA in use from issuing wildcards",
    mend: "add an `issuewild` record for the CA in use, or ask for names without `*.`",
};

const ACCOUNT: Fault = Fault {
    code: "caa-account",
    assessment: Assessment::Fault,
    meaning: "`accounturi` allows another account with the CA than this server's",
    mend: "add a record with the URL of this server's account: `txtgate acme account` prints it",
};

const METHOD: Fault = Fault {
    code: "caa-method",
    assessment: Assessment::Fault,
    meaning: "`validationmethods` forbids the validation method in use",
    mend: "add the method to the record, or change `challenge` in [acme]",
};

const CRITICAL: Fault = Fault {
    code: "caa-critical",
    assessment: Assessment::Fault,
    meaning: "no CA may issue: a record is critical, and CAs do not know its property",
    mend: "remove the record, or its critical flag (128)",
};

const UNDECIDED: Fault = Fault {
    code: "caa-undecided",
    assessment: Assessment::Unknown,
    meaning: "there are CAA records, and by which name they identify the CA in use is unknown",
    mend: "see whether the directory of the CA can be fetched from this machine",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let domains = domains(&examination.names);
    if domains.is_empty() {
        return;
    }
    let issuer = known_issuer(examination).await;
    let lookups = Lookups::Iterative(examination.iterative.clone());
    let own = OwnServer::of(examination);
    for_each(domains, findings, |domain| {
        let (issuer, lookups, own) = (issuer.clone(), lookups.clone(), own.clone());
        async move {
            if own.zone_at(&domain.base).is_some() { Vec::new() } else { check(&issuer, &lookups, &own, &domain).await }
        }
    })
    .await;
}

async fn check(issuer: &KnownIssuer, lookups: &Lookups, own: &OwnServer, domain: &Domain) -> Vec<ScopedFinding> {
    let asked = question(RecordType::CAA, &domain.base);
    let relevant = match relevant(&domain.base, lookups).await {
        Ok(relevant) => relevant,
        Err(error) => return vec![FAILED.found(&domain.base, asked, error)],
    };
    match issuer {
        KnownIssuer::Known(issuer) if !issuer.caa_identities.is_empty() => {
            let mut found = Vec::new();
            for name in &domain.names {
                found.push(judged(issuer, own, name, relevant.as_ref()).await);
            }
            found
        }
        KnownIssuer::Unknown(problem) if relevant.is_some() && own.holder(&domain.base).await == Holder::Server => {
            let answer = relevant.map(|records| records.to_string()).unwrap_or_default();
            vec![UNDECIDED.found(&domain.base, asked, answer).advice(format!("{}: {problem}", UNDECIDED.mend))]
        }
        _ => {
            let answer = relevant.map_or_else(|| "there are no CAA records".to_owned(), |records| records.to_string());
            vec![ScopedFinding::good(Finding::new(Assessment::Good, &domain.base, asked, answer))]
        }
    }
}

/// The finding about the records of one name. The client of an account may use another CA than this server, and uses another
/// account there.
async fn judged(
    issuer: &IssuerIdentity,
    own: &OwnServer,
    name: &Identifier,
    relevant: Option<&RelevantRecords>,
) -> ScopedFinding {
    let mut finding = judge(issuer, name, relevant);
    let Some(refused) = relevant.and_then(|relevant| refusal(issuer, &relevant.records, name.is_wildcard())) else {
        return ScopedFinding::good(finding);
    };
    let client = own.holder(name.base()).await == Holder::Client;
    let is_open = relevant.is_some_and(|relevant| allows_some_ca(&relevant.records, name.is_wildcard()));
    if client && is_open {
        finding = Finding::new(Assessment::Good, name, finding.question, finding.answer);
        return ScopedFinding::good(finding.meaning("the client of the account has to use what they allow"));
    }
    let fault = match refused {
        CaaRefusal::Issuer => &ISSUER,
        CaaRefusal::Wildcard => &WILDCARD,
        CaaRefusal::Account => &ACCOUNT,
        CaaRefusal::Method => &METHOD,
        CaaRefusal::Critical => &CRITICAL,
    };
    match refused {
        // No record that is added changes that.
        CaaRefusal::Critical => fault.of(finding).advice(CRITICAL.mend),
        CaaRefusal::Wildcard if !client => {
            let record = issuer.caa_record.as_deref().unwrap_or_default().replace("CAA 0 issue ", "CAA 0 issuewild ");
            fault.of(finding).advice(format!("add `{record}` to them, or ask for names without `*.`"))
        }
        _ if client => fault.of(finding).advice("add a record for the CA that the client of the account uses"),
        _ => fault.of(finding),
    }
}
