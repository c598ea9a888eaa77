//! What clients think of the certificate that the API presents.

use std::time::SystemTime;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use crate::acme::certificate::CertificateInfo;
use crate::config::{Certificate, Config};
use crate::delegation::finding::Assessment;
use crate::model::time::Timestamp;
use crate::net::tls::presented;

use super::super::super::fault::Fault;
use super::super::super::findings::Findings;

/// A certificate with less of its lifetime left than one part in so many is a warning: renewal comes after two thirds.
const LAST_PART: u32 = 10;
/// What the findings are about.
const SUBJECT: &str = "the API's certificate";

pub const SILENT: Fault = Fault {
    code: "api-without-handshake",
    assessment: Assessment::Fault,
    meaning: "clients cannot reach the API",
    mend: "look at the certificate in `txtgate status`, and for warnings in the log",
};

pub const EXPIRED: Fault = Fault {
    code: "api-certificate-expired",
    assessment: Assessment::Fault,
    meaning: "clients refuse the API's certificate",
    mend: "renew the certificate; `txtgate status` says why the daemon does not, and files are read again when they change",
};

pub const EARLY: Fault = Fault {
    code: "api-certificate-not-yet-valid",
    assessment: Assessment::Fault,
    meaning: "clients refuse the API's certificate",
    mend: "correct this machine's clock, or the one of whoever has issued the certificate",
};

pub const ENDING: Fault = Fault {
    code: "api-certificate-ending",
    assessment: Assessment::Warning,
    meaning: "the renewal is late; after the end clients refuse the API",
    mend: "see in `txtgate status` why the renewal fails, or ask whoever renews the files",
};

pub const SELF_SIGNED: Fault = Fault {
    code: "api-certificate-self-signed",
    assessment: Assessment::Warning,
    meaning: "only clients that know this very certificate accept it",
    mend: "if the daemon waits for its first certificate, `txtgate status` says what for; otherwise set `mode = \"acme\"` \
           in [api.tls]",
};

pub const INCOMPLETE: Fault = Fault {
    code: "api-certificate-incomplete",
    assessment: Assessment::Warning,
    meaning: "the chain has one certificate, and no authority of this system has issued it; clients without the \
              certificate between refuse the API",
    mend: "name the file with the whole chain, often fullchain.pem, as `certificate` in [api]; with an authority of your \
           own, add its certificate to the system's",
};

pub const NAMELESS: Fault = Fault {
    code: "api-certificate-without-name",
    assessment: Assessment::Fault,
    meaning: "clients look for the host among the certificate's DNS names, and refuse one without any",
    mend: "get a certificate with the API's host as subject alternative name",
};

pub const OTHER_HOST: Fault = Fault {
    code: "api-certificate-other-host",
    assessment: Assessment::Fault,
    meaning: "clients compare the certificate with the host in their URL, and refuse it",
    mend: "get a certificate for that host, or correct `url` in [api] or `names` in [api.tls]",
};

pub const OTHER_THAN_TOLD: Fault = Fault {
    code: "api-url-not-in-certificate",
    assessment: Assessment::Warning,
    meaning: "`txtgate account create` writes a URL into the settings of clients whose host the certificate does not have, \
              so they refuse it",
    mend: "set `url` in [api] to the URL at which clients reach the API",
};

pub const CHAIN_EXPIRED: Fault = Fault {
    code: "api-certificate-chain-expired",
    assessment: Assessment::Fault,
    meaning: "clients refuse a certificate whose issuer's has expired",
    mend: "renew the certificate, and name the file with its new chain as `certificate` in [api]",
};

/// Judges the chain that the API presents, its own certificate first.
///
/// `roots`: the authorities that clients accept; `None` where they cannot be read.
pub fn judge(
    config: &Config,
    roots: Option<RootCertStore>,
    chain: &[CertificateDer<'static>],
    question: &str,
    findings: &mut Findings,
) {
    let read = chain.first().ok_or_else(|| "none".to_owned());
    let info = match read.and_then(|own| CertificateInfo::read(own).map_err(|error| error.to_string())) {
        Ok(info) => info,
        Err(error) => return findings.add(SILENT.found(SUBJECT, question, error)),
    };
    let now = Timestamp::from_unix(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
    let left = info.not_after.since(now);
    if now < info.not_before {
        return findings.add(EARLY.found(SUBJECT, question, format!("valid from {}", info.not_before)));
    }
    if left.is_zero() {
        return findings.add(EXPIRED.found(SUBJECT, question, format!("expired at {}", info.not_after)));
    }
    let Some(name) = info.names.first() else {
        return findings.add(NAMELESS.found(SUBJECT, question, "it has no DNS name"));
    };
    if left < info.not_after.since(info.not_before) / LAST_PART {
        findings.add(ENDING.found(SUBJECT, question, format!("ends at {}", info.not_after)));
    }
    judge_hosts(config, &chain[0], &info, question, findings);
    let is_trusted = roots.is_some_and(|roots| is_trusted(roots, chain, name));
    judge_issuers(is_trusted, chain, &info, now, question, findings);
}

/// Compares the certificate with the hosts that clients use.
fn judge_hosts(
    config: &Config,
    own: &CertificateDer<'static>,
    info: &CertificateInfo,
    question: &str,
    findings: &mut Findings,
) {
    let url = config.api_url();
    let fault = match (&config.api.url, &config.api.tls) {
        (None, Some(Certificate::Own(_))) | (Some(_), _) => &OTHER_HOST,
        _ => &OTHER_THAN_TOLD,
    };
    for host in hosts(config, &url) {
        if ServerName::try_from(any_below(&host)).is_ok_and(|name| presented::is_for(own, &name)) {
            continue;
        }
        let answer = format!("it is for {}, and not for {host}", info.names.join(", "));
        findings.add(fault.found(SUBJECT, question, answer));
    }
}

/// The hosts that clients use, as far as the configuration says.
fn hosts(config: &Config, url: &str) -> Vec<String> {
    match (&config.api.url, &config.api.tls) {
        (None, Some(Certificate::Own(own))) => own.names.iter().map(ToString::to_string).collect(),
        (given, _) => {
            let uri = url.parse::<axum::http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("https"));
            let host = uri.as_ref().and_then(|uri| uri.host()).map(|host| host.trim_matches(['[', ']']).to_owned());
            // Where a listener has an address of its own, clients may use any name of that.
            let is_meant = |host: &String| given.is_some() || host.parse::<std::net::IpAddr>().is_err();
            host.into_iter().filter(is_meant).collect()
        }
    }
}

fn judge_issuers(
    is_trusted: bool,
    chain: &[CertificateDer<'static>],
    info: &CertificateInfo,
    now: Timestamp,
    question: &str,
    findings: &mut Findings,
) {
    let is_own_issuer = chain.len() == 1 && is_self_signed(&chain[0]);
    if is_trusted {
        let answer = format!("for {}, until {}", info.names.join(", "), info.not_after);
        findings.good(SUBJECT, question, answer);
    } else if let Some(end) = expiry_of_issuers(&chain[1..]).filter(|end| *end <= now) {
        let answer = format!("another certificate of its chain expired at {end}");
        findings.add(CHAIN_EXPIRED.found(SUBJECT, question, answer));
    } else if is_own_issuer {
        findings.add(SELF_SIGNED.found(SUBJECT, question, "it is signed with its own key"));
    } else if chain.len() == 1 {
        let answer = format!("one certificate, issued by {}", info.issuer);
        findings.add(INCOMPLETE.found(SUBJECT, question, answer));
    } else {
        let answer = format!("issued by {}, an authority that this system does not know", info.issuer);
        findings.good(SUBJECT, question, answer);
    }
}

/// When the first of these certificates expires.
fn expiry_of_issuers(issuers: &[CertificateDer<'_>]) -> Option<Timestamp> {
    issuers.iter().filter_map(|issuer| CertificateInfo::read(issuer).ok()).map(|info| info.not_after).min()
}

/// Whether clients with the authorities of this system accept the chain, or those with the CA's own in [acme].
fn is_trusted(roots: RootCertStore, chain: &[CertificateDer<'static>], name: &str) -> bool {
    ServerName::try_from(any_below(name)).is_ok_and(|name| presented::verify(chain, &name, roots).is_ok())
}

/// A name that a client may ask for; a wildcard stands for any label.
fn any_below(name: &str) -> String {
    name.strip_prefix("*.").map_or_else(|| name.to_owned(), |base| format!("any.{base}"))
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    use x509_parser::prelude::{FromDer, X509Certificate};
    X509Certificate::from_der(certificate).is_ok_and(|(_, read)| read.issuer() == read.subject())
}
