//! The certificate of the HTTP API, as clients see it and as its files hold it.

mod certificate;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::config::{Certificate, Config, TlsFiles};
use crate::delegation::finding::Assessment;
use crate::net::tls::{HTTP, Tls, presented};
use crate::net::{interfaces, roots};

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// The time that a handshake has.
const HANDSHAKE: Duration = Duration::from_secs(5);

pub static CHECK: Check = Check {
    id: "api",
    group: Group::Machine,
    title: "HTTP API",
    looks_at: "Whether the API answers with TLS, and the certificate that it presents: whether it is valid now and for some \
               time, for the host of `url` in [api] or for the names in [api.tls], complete, and trusted by the system; and \
               whether its files can be used at the next start.",
    after: &["daemon", "clock"],
    faults: &[
        &PLAIN,
        &UNUSABLE,
        &certificate::SILENT,
        &certificate::EXPIRED,
        &certificate::EARLY,
        &certificate::ENDING,
        &certificate::NAMELESS,
        &certificate::OTHER_HOST,
        &certificate::OTHER_THAN_TOLD,
        &certificate::SELF_SIGNED,
        &certificate::CHAIN_EXPIRED,
        &certificate::INCOMPLETE,
    ],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const PLAIN: Fault = Fault {
    code: "api-plain",
    assessment: Assessment::Warning,
    meaning: "keys of accounts cross the network in the clear, unless a proxy before the API adds TLS",
    mend: "set `mode = \"acme\"` in [api.tls], or `certificate` and `key` in [api]; behind a proxy name it in \
           `trusted-proxies`",
};

const UNUSABLE: Fault = Fault {
    code: "api-certificate-unusable",
    assessment: Assessment::Fault,
    meaning: "the daemon goes on with the certificate that it has, and does not start again with these files",
    mend: "let the daemon's user read both files, and name the certificate's chain and the key that belongs to it",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let config = &examination.config;
    match &config.api.tls {
        None => return plain(config, findings),
        Some(Certificate::Files(files)) => of_files(files, findings).await,
        Some(Certificate::Own(_)) => {}
    }
    let Some(daemon) = &examination.daemon else { return };
    let listener = daemon.api.first().copied();
    // A connection without the proxy's header would be refused.
    let Some(address) = listener.filter(|_| !config.api.proxy_protocol) else { return };
    let host = host(config);
    let question = format!("a TLS handshake with {address}");
    let chain = match presented::chain(interfaces::reachable(address), host.clone(), HANDSHAKE).await {
        Ok(chain) => chain,
        Err(error) => return findings.add(certificate::SILENT.found("the API", question, error)),
    };
    let extra_roots = config.acme.ca_root.clone();
    // An error says that the runtime ends.
    let Ok(roots) = spawn_blocking(move || roots::store(extra_roots.as_deref())).await else { return };
    certificate::judge(config, roots.ok(), &chain, &question, findings);
}

fn plain(config: &Config, findings: &mut Findings) {
    let open: Vec<String> =
        config.api.listen.iter().filter(|at| !at.ip().is_loopback()).map(ToString::to_string).collect();
    let question = "how the API is reached";
    if open.is_empty() {
        findings.good("the API", question, "from this machine, without TLS");
    } else if config.api.trusted_proxies.is_empty() {
        findings.add(PLAIN.found("the API", question, format!("without TLS on {}", open.join(", "))));
    } else {
        findings.good("the API", question, "behind a proxy, without TLS of its own");
    }
}

async fn of_files(files: &TlsFiles, findings: &mut Findings) {
    let subject = files.certificate.display();
    let question = format!("whether {subject} and {} can be used", files.key.display());
    let read = files.clone();
    match spawn_blocking(move || Tls::load(read, HTTP)).await {
        Ok(Ok(_)) => findings.good(subject, question, "they belong together"),
        Ok(Err(error)) => findings.add(UNUSABLE.found(subject, question, error)),
        // The runtime ends.
        Err(_) => {}
    }
}

/// A name to ask for; the certificate is the same for all.
fn host(config: &Config) -> ServerName<'static> {
    let zone = config.zones.first().map(|zone| zone.name.to_string()).unwrap_or_default();
    ServerName::try_from(zone).unwrap_or(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into()))
}
