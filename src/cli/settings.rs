//! Ready-to-paste settings of each ACME client for a new account.

mod update;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::api::types::accounts::AccountCredentials;

use super::output::as_line;
use update::UpdateSettings;

/// The account file of `txtgate hook` for root.
const HOOK_ACCOUNTS: &str = "/etc/txtgate/accounts.json";

/// The client that the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientFormat {
    /// All of them, for reading
    Text,
    /// The registration as JSON, one line
    Json,
    /// The account file of lego, Traefik, cert-manager, Caddy and acme-dns-client
    Goacmedns,
    /// lego
    Lego,
    /// Traefik
    Traefik,
    /// Environment of lego's and Traefik's httpreq
    Httpreq,
    /// A Secret and an Issuer for cert-manager
    CertManager,
    /// A Caddyfile snippet
    Caddy,
    /// certbot, with `txtgate hook`
    Certbot,
    /// acme.sh
    AcmeSh,
    /// lego, by DNS UPDATE
    LegoRfc2136,
    /// certbot's plugin for DNS UPDATE
    CertbotRfc2136,
    /// A Secret and an Issuer for cert-manager, by DNS UPDATE
    CertManagerRfc2136,
    /// A key file for nsupdate
    Nsupdate,
}

impl ClientFormat {
    /// Whether the client needs a TSIG key.
    pub fn needs_tsig(self) -> bool {
        matches!(self, Self::LegoRfc2136 | Self::CertbotRfc2136 | Self::CertManagerRfc2136 | Self::Nsupdate)
    }
}

/// A new account, the domain that it is for, and the API's address.
#[derive(Debug)]
pub struct ClientSettings<'a> {
    /// The certificate's domain, without `*.`.
    pub domain: &'a str,
    /// The records to add to the domain's DNS.
    pub records: Vec<String>,
    /// The API's base URL, without a closing slash.
    pub server: &'a str,
    /// The DNS listener's host and port.
    pub dns: String,
    /// The account with its keys.
    pub account: &'a AccountCredentials,
}

impl ClientSettings<'_> {
    /// The settings in a client's form.
    pub fn settings(&self, format: ClientFormat) -> String {
        match format {
            ClientFormat::Text => self.everything(),
            ClientFormat::Json => as_line(self.account),
            ClientFormat::Goacmedns => format!("{:#}", self.account_file()),
            ClientFormat::Lego => self.with_account_file("acme-dns.json", &self.lego()),
            ClientFormat::Traefik => self.with_account_file("/etc/traefik/acme-dns.json", &self.traefik()),
            ClientFormat::Httpreq => self.httpreq(),
            ClientFormat::CertManager => self.cert_manager(),
            ClientFormat::Caddy => self.caddy(),
            ClientFormat::Certbot => {
                format!("mkdir -p /etc/txtgate\n{}", self.with_account_file(HOOK_ACCOUNTS, &self.certbot()))
            }
            ClientFormat::AcmeSh => self.acme_sh(),
            ClientFormat::LegoRfc2136 => self.by_update(UpdateSettings::lego),
            ClientFormat::CertbotRfc2136 => self.by_update(UpdateSettings::certbot),
            ClientFormat::CertManagerRfc2136 => self.by_update(UpdateSettings::cert_manager),
            ClientFormat::Nsupdate => self.by_update(UpdateSettings::nsupdate),
        }
    }

    /// Settings for a client that sends DNS UPDATEs; empty for an account without a TSIG key.
    fn by_update<'s>(&'s self, settings: fn(&UpdateSettings<'s>) -> String) -> String {
        let Some(key) = &self.account.tsig else { return String::new() };
        settings(&UpdateSettings { domain: self.domain, dns: &self.dns, key })
    }

    fn everything(&self) -> String {
        let part = |title: &str, text: String| format!("\n--- {title}\n{text}\n");
        let mut out = format!(
            "Add this to the DNS of {}, once:\n\n  {}\n\nThe key is shown now and never again:\n\n  username   {}\n  password   {}\n  \
             subdomain  {}\n  fulldomain {}\n  server     {}\n",
            self.domain,
            self.records.join("\n  "),
            self.account.username,
            self.account.password.as_str(),
            self.account.subdomain,
            self.account.fulldomain,
            self.server,
        );
        out += &part(
            "account file (lego, Traefik, certbot with `txtgate hook`): acme-dns.json",
            format!("{:#}", self.account_file()),
        );
        out += &part("lego", self.lego());
        out += &part("Traefik", self.traefik());
        out += &part(&format!("certbot, with the account file as {HOOK_ACCOUNTS}"), self.certbot());
        for (title, format) in [
            ("lego or Traefik with httpreq", ClientFormat::Httpreq),
            ("cert-manager", ClientFormat::CertManager),
            ("Caddy", ClientFormat::Caddy),
            ("acme.sh", ClientFormat::AcmeSh),
        ] {
            out += &part(title, self.settings(format));
        }
        let by_update = [
            ("lego, by DNS UPDATE", ClientFormat::LegoRfc2136),
            ("certbot, by DNS UPDATE", ClientFormat::CertbotRfc2136),
            ("cert-manager, by DNS UPDATE", ClientFormat::CertManagerRfc2136),
            ("nsupdate", ClientFormat::Nsupdate),
        ];
        for (title, format) in by_update.into_iter().filter(|_| self.account.tsig.is_some()) {
            out += &part(title, self.settings(format));
        }
        out.trim_end().to_owned()
    }

    /// The account file of goacmedns: a map by domain.
    fn account_file(&self) -> Value {
        let account = json!({
            "fulldomain": self.account.fulldomain,
            "subdomain": self.account.subdomain,
            "username": self.account.username,
            "password": self.account.password.as_str(),
            "server_url": self.server,
        });
        json!({ self.domain: account })
    }

    /// Commands that write the account file, readable by its owner alone and never over another file, and then the
    /// client's own settings.
    fn with_account_file(&self, path: &str, settings: &str) -> String {
        let file = self.account_file();
        format!(
            "# Where {path} is there already, put the entry of {} into it.\n\
             (umask 077; set -C; cat > {path}) <<'EOF'\n{file:#}\nEOF\n{settings}",
            self.domain
        )
    }

    fn lego(&self) -> String {
        format!(
            "ACME_DNS_API_BASE={} ACME_DNS_STORAGE_PATH=acme-dns.json \\\n  \
             lego --email you@example.org --dns acme-dns -d {domain} -d '*.{domain}' run",
            self.server,
            domain = self.domain
        )
    }

    fn traefik(&self) -> String {
        format!(
            "# environment: ACME_DNS_API_BASE={} ACME_DNS_STORAGE_PATH=/etc/traefik/acme-dns.json\n\
             certificatesResolvers:\n  txtgate:\n    acme:\n      email: you@example.org\n      \
             storage: /etc/traefik/acme.json\n      dnsChallenge:\n        provider: acme-dns",
            self.server
        )
    }

    fn httpreq(&self) -> String {
        format!(
            "HTTPREQ_ENDPOINT={} HTTPREQ_USERNAME={} \\\n  HTTPREQ_PASSWORD={} \\\n  \
             lego --email you@example.org --dns httpreq -d {domain} -d '*.{domain}' run",
            self.server,
            self.account.username,
            self.account.password.as_str(),
            domain = self.domain,
        )
    }

    fn cert_manager(&self) -> String {
        let file = self.account_file();
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: acme-dns\nstringData:\n  acmedns.json: |\n    {file}\n---\n\
             apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata:\n  name: letsencrypt\nspec:\n  acme:\n    \
             server: https://acme-v02.api.letsencrypt.org/directory\n    email: you@example.org\n    \
             privateKeySecretRef:\n      name: letsencrypt-account\n    solvers:\n      - dns01:\n          acmeDNS:\n            \
             host: {}\n            accountSecretRef:\n              name: acme-dns\n              key: acmedns.json",
            self.server
        )
    }

    fn caddy(&self) -> String {
        format!(
            "# Caddy with the module github.com/caddy-dns/acmedns\n{domain}, *.{domain} {{\n\ttls {{\n\t\tdns acmedns {{\n\t\t\t\
             username {}\n\t\t\tpassword {}\n\t\t\tsubdomain {}\n\t\t\tserver_url {}\n\t\t}}\n\t}}\n}}",
            self.account.username,
            self.account.password.as_str(),
            self.account.subdomain,
            self.server,
            domain = self.domain,
        )
    }

    /// Settings for `txtgate hook`, which takes the key from the account file: every user of the machine can read
    /// arguments.
    fn certbot(&self) -> String {
        format!(
            "certbot certonly --manual --preferred-challenges dns \\\n  \
             --manual-auth-hook 'txtgate hook --accounts {HOOK_ACCOUNTS}' \\\n  \
             --manual-cleanup-hook 'txtgate hook --accounts {HOOK_ACCOUNTS}' \\\n  -d {domain} -d '*.{domain}'",
            domain = self.domain,
        )
    }

    fn acme_sh(&self) -> String {
        format!(
            "export ACMEDNS_BASE_URL={}\nexport ACMEDNS_USERNAME={}\nexport ACMEDNS_PASSWORD={}\n\
             export ACMEDNS_SUBDOMAIN={}\nacme.sh --issue --dns dns_acmedns -d {domain} -d '*.{domain}'",
            self.server,
            self.account.username,
            self.account.password.as_str(),
            self.account.subdomain,
            domain = self.domain,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_what_its_client_needs() {
        let account: AccountCredentials = serde_json::from_value(json!({
            "username": "00000000-0000-4000-8000-000000000001", "password": "KEY", "fulldomain": "s.auth.test", "subdomain": "S",
            "allowfrom": [], "tsig": {"name": "U.", "algorithm": "hmac-sha256", "secret": "TSIGKEY"}
        }))
        .unwrap();
        let settings = ClientSettings {
            domain: "example.com",
            records: vec!["_acme-challenge.example.com. CNAME s.auth.test.".to_owned()],
            server: "https://api.test",
            dns: "192.0.2.1:53".into(),
            account: &account,
        };
        for format in ClientFormat::value_variants() {
            let text = settings.settings(*format);
            assert!(text.contains("KEY"), "{format:?}: {text}");
            let is_for_updates = format.needs_tsig() || *format == ClientFormat::Text || *format == ClientFormat::Json;
            assert_eq!(text.contains("TSIGKEY"), is_for_updates, "{format:?}: {text}");
        }
        assert!(settings.settings(ClientFormat::Text).contains("_acme-challenge.example.com. CNAME s.auth.test."));
        let file: Value = serde_json::from_str(&settings.settings(ClientFormat::Goacmedns)).unwrap();
        assert_eq!(file["example.com"]["server_url"], "https://api.test");
    }
}
