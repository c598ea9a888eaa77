//! Settings for clients that send DNS UPDATEs (RFC 2136), signed with the account's TSIG key.

use super::super::types::tsig::TsigKeyReply;

/// An account with a TSIG key, for a client that sends DNS UPDATEs.
#[derive(Debug)]
pub struct UpdateSettings<'a> {
    /// The certificate's domain, without `*.`.
    pub domain: &'a str,
    /// The DNS listener's host and port.
    pub dns: &'a str,
    /// The key.
    pub key: &'a TsigKeyReply,
}

impl UpdateSettings<'_> {
    pub fn lego(&self) -> String {
        format!(
            "RFC2136_NAMESERVER={} RFC2136_TSIG_KEY={} \\\n  RFC2136_TSIG_ALGORITHM={}. RFC2136_TSIG_SECRET={} \\\n  \
             lego --email you@example.org --dns rfc2136 -d {domain} -d '*.{domain}' run",
            self.dns,
            self.key.name,
            self.key.algorithm,
            self.key.secret.as_str(),
            domain = self.domain,
        )
    }

    pub fn certbot(&self) -> String {
        let (host, port) = self.dns.rsplit_once(':').unwrap_or((self.dns, "53"));
        format!(
            "# rfc2136.ini (mode 0600): certbot certonly --dns-rfc2136 --dns-rfc2136-credentials rfc2136.ini \\\n\
             #   -d {domain} -d '*.{domain}'\n\
             # The server must be an address.\n\
             dns_rfc2136_server = {}\ndns_rfc2136_port = {port}\ndns_rfc2136_name = {}\ndns_rfc2136_secret = {}\n\
             dns_rfc2136_algorithm = {}\ndns_rfc2136_sign_query = true",
            host.trim_matches(['[', ']']),
            self.key.name,
            self.key.secret.as_str(),
            self.key.algorithm.as_str().to_ascii_uppercase(),
            domain = self.domain,
        )
    }

    pub fn nsupdate(&self) -> String {
        let (host, port) = self.dns.rsplit_once(':').unwrap_or((self.dns, "53"));
        format!(
            "# tsig.key (mode 0600)\nkey \"{}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};\n\
             # and with it, for each VALUE:\n\
             # printf 'server {} {port}\\nupdate add _acme-challenge.{}. 60 TXT \"%s\"\\nsend\\n' VALUE | nsupdate -k tsig.key",
            self.key.name,
            self.key.algorithm,
            self.key.secret.as_str(),
            host.trim_matches(['[', ']']),
            self.domain,
        )
    }

    pub fn cert_manager(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: tsig\nstringData:\n  secret: {}\n---\n\
             apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: letsencrypt\nspec:\n  acme:\n    \
             server: https://acme-v02.api.letsencrypt.org/directory\n    email: you@example.org\n    \
             privateKeySecretRef:\n      name: letsencrypt-account\n    solvers:\n      - dns01:\n          \
             cnameStrategy: Follow\n          rfc2136:\n            nameserver: {}\n            tsigKeyName: {}\n            \
             tsigAlgorithm: {}\n            tsigSecretSecretRef:\n              name: tsig\n              key: secret",
            self.key.secret.as_str(),
            self.dns,
            self.key.name.trim_end_matches('.'),
            self.key.algorithm.as_str().to_ascii_uppercase().replace('-', ""),
        )
    }
}
