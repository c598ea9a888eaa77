//! Ready-to-paste settings of each ACME client for a new account.

mod update;

use serde_json::{Value, json};

use crate::model::name::idn::both_ways;

use super::types::accounts::AccountCredentials;
use update::UpdateSettings;

/// The account file of `txtgate hook` for root.
const HOOK_ACCOUNTS: &str = "/etc/txtgate/accounts.json";

/// The account file of Traefik.
const TRAEFIK_ACCOUNTS: &str = "/etc/traefik/acme-dns.json";

const OTHER_CLIENTS: &str = "
Other clients: `--format` prints the settings of acme.sh, Caddy, cert-manager,
httpreq and more; `txtgate account create --help` lists them.";

/// The client that the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFormat {
    Text,
    Json,
    Goacmedns,
    Lego,
    Traefik,
    Httpreq,
    CertManager,
    Caddy,
    Certbot,
    AcmeSh,
    LegoRfc2136,
    CertbotRfc2136,
    CertManagerRfc2136,
    Nsupdate,
}

impl ClientFormat {
    /// Every format, in the order of lists.
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::Json,
        Self::Goacmedns,
        Self::Lego,
        Self::Traefik,
        Self::Httpreq,
        Self::CertManager,
        Self::Caddy,
        Self::Certbot,
        Self::AcmeSh,
        Self::LegoRfc2136,
        Self::CertbotRfc2136,
        Self::CertManagerRfc2136,
        Self::Nsupdate,
    ];

    /// The name in commands and forms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Goacmedns => "goacmedns",
            Self::Lego => "lego",
            Self::Traefik => "traefik",
            Self::Httpreq => "httpreq",
            Self::CertManager => "cert-manager",
            Self::Caddy => "caddy",
            Self::Certbot => "certbot",
            Self::AcmeSh => "acme-sh",
            Self::LegoRfc2136 => "lego-rfc2136",
            Self::CertbotRfc2136 => "certbot-rfc2136",
            Self::CertManagerRfc2136 => "cert-manager-rfc2136",
            Self::Nsupdate => "nsupdate",
        }
    }

    /// What the settings are, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Text => "The account file, and settings of certbot, lego and Traefik",
            Self::Json => "The registration as JSON, one line",
            Self::Goacmedns => "The account file of lego, Traefik, cert-manager, Caddy and acme-dns-client",
            Self::Lego => "lego",
            Self::Traefik => "Traefik",
            Self::Httpreq => "Environment of lego's and Traefik's httpreq",
            Self::CertManager => "A Secret and an Issuer for cert-manager",
            Self::Caddy => "A Caddyfile snippet",
            Self::Certbot => "certbot, with `txtgate hook`",
            Self::AcmeSh => "acme.sh",
            Self::LegoRfc2136 => "lego, by DNS UPDATE",
            Self::CertbotRfc2136 => "certbot's plugin for DNS UPDATE",
            Self::CertManagerRfc2136 => "A Secret and an Issuer for cert-manager, by DNS UPDATE",
            Self::Nsupdate => "A key file for nsupdate",
        }
    }

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
            ClientFormat::Text => self.overview(),
            // invariant: a struct of texts and lists always becomes JSON
            ClientFormat::Json => serde_json::to_string(self.account).unwrap_or_default(),
            ClientFormat::Goacmedns => format!("{:#}", self.account_file()),
            ClientFormat::Lego => self.with_account_file("acme-dns.json", &self.lego()),
            ClientFormat::Traefik => self.with_account_file(TRAEFIK_ACCOUNTS, &self.traefik()),
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

    /// The account file with the one place of the password, and the three clients that most people use, which read it.
    fn overview(&self) -> String {
        let part = |title: &str, text: &str| format!("\n--- {title}\n{text}\n");
        let mut out = format!(
            "The account for {}. Save this as the client's account file, mode 0600.\n\
             The password is shown now and never again.\n\n{:#}\n",
            both_ways(self.domain),
            self.account_file()
        );
        out += &part(&format!("certbot, with the account file as {HOOK_ACCOUNTS}"), &self.certbot());
        out += &part("lego, with the account file as acme-dns.json", &self.lego());
        out += &part(&format!("Traefik, with the account file as {TRAEFIK_ACCOUNTS}"), &self.traefik());
        if self.account.tsig.is_some() {
            out += &part("nsupdate", &self.settings(ClientFormat::Nsupdate));
        }
        out + OTHER_CLIENTS
    }

    /// The records to add, as the last lines of what is printed: a comment in settings, which may be a script.
    pub fn records(&self, format: ClientFormat) -> String {
        let mut lines = vec![format!("Add to the DNS of {}, once:", both_ways(self.domain))];
        if format == ClientFormat::Text {
            lines.push(String::new());
        }
        lines.extend(self.records.iter().cloned());
        let mark = if matches!(format, ClientFormat::Text | ClientFormat::Goacmedns) { "" } else { "# " };
        lines.iter().map(|line| format!("{mark}{line}")).collect::<Vec<_>>().join("\n")
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
            "# environment: ACME_DNS_API_BASE={}\n#              ACME_DNS_STORAGE_PATH={TRAEFIK_ACCOUNTS}\n\
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
        for format in ClientFormat::ALL {
            let text = settings.settings(format);
            assert!(text.contains("KEY"), "{format:?}: {text}");
            let is_for_updates = format.needs_tsig() || format == ClientFormat::Text || format == ClientFormat::Json;
            assert_eq!(text.contains("TSIGKEY"), is_for_updates, "{format:?}: {text}");
        }
        let text = settings.settings(ClientFormat::Text);
        assert_eq!(text.matches("KEY\"").count() - text.matches("TSIGKEY\"").count(), 1, "the password once: {text}");
        let [text, lego] = [ClientFormat::Text, ClientFormat::Lego].map(|format| settings.records(format));
        assert!(text.ends_with("\n_acme-challenge.example.com. CNAME s.auth.test."), "{text}");
        assert!(lego.ends_with("\n# _acme-challenge.example.com. CNAME s.auth.test."), "{lego}");
        let file: Value = serde_json::from_str(&settings.settings(ClientFormat::Goacmedns)).unwrap();
        assert_eq!(file["example.com"]["server_url"], "https://api.test");
    }
}
