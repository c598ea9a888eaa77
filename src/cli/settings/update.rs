//! Settings for clients that send DNS UPDATEs (RFC 2136), signed with the account's TSIG key.

use super::Registered;

impl Registered<'_> {
    /// Whether the account has a key to sign with.
    pub fn has_tsig(&self) -> bool {
        self.reply["tsig"].is_object()
    }

    fn tsig(&self, field: &str) -> &str {
        self.reply["tsig"][field].as_str().unwrap_or_default()
    }

    pub(super) fn lego_rfc2136(&self) -> String {
        format!(
            "RFC2136_NAMESERVER={} RFC2136_TSIG_KEY={} \\\n  RFC2136_TSIG_ALGORITHM={}. RFC2136_TSIG_SECRET={} \\\n  \
             lego --email you@example.org --dns rfc2136 -d {domain} -d '*.{domain}' run",
            self.dns,
            self.tsig("name"),
            self.tsig("algorithm"),
            self.tsig("secret"),
            domain = self.domain,
        )
    }

    pub(super) fn certbot_rfc2136(&self) -> String {
        let (host, port) = self.dns.rsplit_once(':').unwrap_or((&self.dns, "53"));
        format!(
            "# rfc2136.ini (mode 0600): certbot certonly --dns-rfc2136 --dns-rfc2136-credentials rfc2136.ini \\\n\
             #   -d {domain} -d '*.{domain}'\n\
             # The server must be an address.\n\
             dns_rfc2136_server = {}\ndns_rfc2136_port = {port}\ndns_rfc2136_name = {}\ndns_rfc2136_secret = {}\n\
             dns_rfc2136_algorithm = {}\ndns_rfc2136_sign_query = true",
            host.trim_matches(['[', ']']),
            self.tsig("name"),
            self.tsig("secret"),
            self.tsig("algorithm").to_ascii_uppercase(),
            domain = self.domain,
        )
    }

    pub(super) fn nsupdate(&self) -> String {
        let (host, port) = self.dns.rsplit_once(':').unwrap_or((&self.dns, "53"));
        format!(
            "# tsig.key (mode 0600)\nkey \"{}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};\n\
             # and with it, for each VALUE:\n\
             # printf 'server {} {port}\\nupdate add _acme-challenge.{}. 60 TXT \"%s\"\\nsend\\n' VALUE | nsupdate -k tsig.key",
            self.tsig("name"),
            self.tsig("algorithm"),
            self.tsig("secret"),
            host.trim_matches(['[', ']']),
            self.domain,
        )
    }

    pub(super) fn cert_manager_rfc2136(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: tsig\nstringData:\n  secret: {}\n---\n\
             apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: letsencrypt\nspec:\n  acme:\n    \
             server: https://acme-v02.api.letsencrypt.org/directory\n    email: you@example.org\n    \
             privateKeySecretRef:\n      name: letsencrypt-account\n    solvers:\n      - dns01:\n          \
             cnameStrategy: Follow\n          rfc2136:\n            nameserver: {}\n            tsigKeyName: {}\n            \
             tsigAlgorithm: {}\n            tsigSecretSecretRef:\n              name: tsig\n              key: secret",
            self.tsig("secret"),
            self.dns,
            self.tsig("name").trim_end_matches('.'),
            self.tsig("algorithm").to_ascii_uppercase().replace('-', ""),
        )
    }
}
