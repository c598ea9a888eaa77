//! `[dns]` and `[dnstap]`: from the file's shape to the settings of the nameserver.

use std::net::SocketAddr;

use crate::crypto::cookie::{CookieSecrets, CookieSecretsError};
use crate::net::dns_client::DNS_PORT;
use crate::net::dnstap::{DnstapSettings, Target};

use super::read::{Reader, addresses};
use super::{Certificate, Dns, file};

impl Reader<'_> {
    pub(super) fn dns(&self, file: &file::File) -> Dns {
        let dns = &file.dns;
        if dns.listen.is_empty() {
            self.wrong("dns.listen", "the list is empty; name at least one address, like \"0.0.0.0:53\"");
        }
        self.in_range("dns.threads", dns.threads as u64, 0, 256);
        self.in_range("dns.answers-per-second", u64::from(dns.answers_per_second), 0, 1_000_000);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Dns {
            listen: addresses(&dns.listen),
            tls_listen: addresses(&dns.tls_listen),
            quic_listen: self.quic_listen(dns),
            tls: self.dns_tls(file),
            proxies: if dns.proxy_protocol { self.proxies(file) } else { Vec::new() },
            threads: if dns.threads == 0 { cores } else { dns.threads },
            answers_per_second: dns.answers_per_second,
            idle_timeout: self.timeout("dns.idle-timeout", &dns.idle_timeout),
            tsig_md5: dns.tsig_md5,
            open_virtual_zones: dns.open_virtual_zones,
            nsid: self.told("dns.nsid", &dns.nsid),
            version: self.told("dns.version", &dns.version),
        }
    }

    /// Where copies of messages go; `None`: nowhere.
    pub(super) fn dnstap(&self, dnstap: &file::Dnstap, is_private: bool) -> Option<DnstapSettings> {
        self.in_range("dnstap.file-mebibytes", dnstap.file_mebibytes, 1, 1_048_576);
        let identity = self.told("dnstap.identity", &dnstap.identity);
        let target = match (&dnstap.socket, &dnstap.file) {
            (Some(_), Some(_)) => {
                self.wrong("dnstap.file", "`socket` is set as well; leave one of them out");
                return None;
            }
            (Some(socket), None) => Target::Socket(self.folder.join(socket)),
            (None, Some(file)) => Target::File {
                path: self.folder.join(file),
                limit: dnstap.file_mebibytes.saturating_mul(1_024 * 1_024),
            },
            (None, None) => return None,
        };
        Some(DnstapSettings { target, identity, is_private })
    }

    /// A text that the server tells of itself; short, so that every reply has room for it.
    fn told(&self, key: &str, text: &str) -> String {
        if text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            let found: String = text.chars().take(80).collect();
            let wanted = "write at most 64 printable ASCII characters, or \"\" to tell nothing";
            self.wrong(key, format!("found {found:?}; {wanted}"));
        }
        text.to_owned()
    }

    pub(super) fn cookie_secrets(&self, dns: &file::Dns) -> Option<CookieSecrets> {
        let path = self.folder.join(dns.cookie_secret_file.as_ref()?);
        let read = CookieSecrets::read(&path).map_err(|error| match error {
            CookieSecretsError::Unreadable(problem) => problem,
            other => format!("{}: {other}", path.display()),
        });
        self.take("dns.cookie-secret-file", read)
    }

    fn quic_listen(&self, dns: &file::Dns) -> Vec<SocketAddr> {
        let addresses = addresses(&dns.quic_listen);
        for (index, quic) in addresses.iter().enumerate() {
            let is_of_plain_dns = quic.port() == DNS_PORT || dns.listen.iter().any(|dns| dns.0 == *quic);
            if quic.port() > 0 && is_of_plain_dns {
                let problem = format!("{quic} is for plain DNS; write another port, by convention 853 (RFC 9250)");
                self.wrong(&format!("dns.quic-listen.{index}"), problem);
            }
        }
        addresses
    }

    /// The certificate of DNS over TLS and QUIC: that of `[dns]`, else the API's.
    fn dns_tls(&self, file: &file::File) -> Option<Certificate> {
        let dns = &file.dns;
        let own = self.tls("dns", dns.certificate.as_ref(), dns.key.as_ref()).map(Certificate::Files);
        let (key, what) = match (dns.tls_listen.is_empty(), dns.quic_listen.is_empty()) {
            (true, true) => return None,
            (false, _) => ("dns.tls-listen", "TLS"),
            (true, false) => ("dns.quic-listen", "QUIC"),
        };
        let found = own.or_else(|| self.api_tls(file));
        // A certificate that is given in part has a mistake of its own.
        let is_given = file.api.tls.mode == file::TlsMode::Acme
            || [&dns.certificate, &dns.key, &file.api.certificate, &file.api.key].into_iter().any(Option::is_some);
        if found.is_none() && !is_given {
            let problem = format!(
                "DNS over {what} needs `certificate` and `key` in [dns] or in [api], or `mode = \"acme\"` in [api.tls]"
            );
            self.wrong(key, problem);
        }
        found
    }
}
