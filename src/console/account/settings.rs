//! Ready-to-paste settings of one client, with the key right after it was made and a placeholder otherwise.

use maud::{Markup, html};

use crate::api::client_settings::{ClientFormat, ClientSettings};
use crate::api::types::accounts::AccountCredentials;
use crate::api::types::revealed::RevealedSecret;
use crate::api::types::tsig::TsigKeyReply;
use crate::model::tsig::Algorithm;

use super::super::page::copyable;
use super::super::session::NewCredentials;
use super::loaded::{Loaded, path};

/// What stands in place of a key that is not shown.
const PLACEHOLDER: &str = "PUT-THE-PASSWORD-HERE";
const TSIG_PLACEHOLDER: &str = "PUT-THE-TSIG-SECRET-HERE";

/// The new key or the new TSIG key, once.
pub fn new_key(revealed: &NewCredentials) -> Markup {
    let account = &revealed.account;
    let password = account.password.as_str();
    html! {
        section.notice.good #new-key aria-label="New key" {
            p { strong { "Copy this now: it is shown once." } " The settings below have it, too, until you leave this page." }
            @if !password.is_empty() {
                div.pair {
                    p { "Username" } (copyable("Username", &account.username.to_string()))
                    p { "Password" } (copyable("Password", password))
                }
            }
            @if let Some(tsig) = &account.tsig {
                p { "TSIG key " span.mono { (tsig.name) } ", " (tsig.algorithm) }
                (copyable("TSIG secret", tsig.secret.as_str()))
            }
        }
    }
}

/// The choice of a client, and its settings.
pub fn settings(loaded: &Loaded, client: &str, typed: &str, revealed: Option<&NewCredentials>) -> Markup {
    let account = &loaded.account;
    let format = chosen(client, account.tsig.is_some());
    let domain = match revealed.map(|revealed| revealed.domain.as_str()) {
        Some(domain) if !domain.is_empty() => domain.to_owned(),
        _ => loaded.domain(),
    };
    let credentials = credentials(loaded, revealed);
    let settings = ClientSettings {
        domain: &domain,
        records: loaded.server.delegation(&domain, &credentials.fulldomain),
        server: loaded.server.api.trim_end_matches('/'),
        dns: loaded.server.dns.clone(),
        account: &credentials,
    };
    let has_key = !credentials.password.as_str().starts_with("PUT-");
    html! {
        form.filters method="get" action={ (path(&account.username.to_string(), "")) "#settings" } {
            input type="hidden" name="domain" value=(typed);
            label {
                "Client"
                select name="client" {
                    @for other in offered(account.tsig.is_some()) {
                        option value=(other.name()) selected[other == format] { (title(other)) }
                    }
                }
            }
            button.quiet { "Show its settings" }
        }
        @if account.owners.is_empty() { p { "The account has no name to publish at." } }
        (copyable(&format!("Settings for {}", title(format)), &settings.settings(format)))
        @if !has_key {
            p.hint { "The password is known to the client alone. Put it where " code { (PLACEHOLDER) } " stands, or rotate the key below: \
                      then this page shows the new one once." }
        }
        @if format.needs_tsig() && credentials.tsig.as_ref().is_some_and(|key| key.secret.as_str() == TSIG_PLACEHOLDER) {
            p.hint { "The TSIG secret was shown when the key was made; another one replaces it below." }
        }
    }
}

/// The formats for this account. The overview repeats others, and the registration is for programs.
fn offered(has_tsig: bool) -> impl Iterator<Item = ClientFormat> {
    let is_offered = move |format: &ClientFormat| {
        !matches!(format, ClientFormat::Text | ClientFormat::Json) && (has_tsig || !format.needs_tsig())
    };
    ClientFormat::ALL.into_iter().filter(is_offered)
}

fn chosen(client: &str, has_tsig: bool) -> ClientFormat {
    offered(has_tsig).find(|format| format.name() == client).unwrap_or(ClientFormat::Certbot)
}

/// The client's name in the list.
fn title(format: ClientFormat) -> &'static str {
    match format {
        ClientFormat::Goacmedns => "Account file (goacmedns)",
        ClientFormat::Httpreq => "httpreq (lego, Traefik)",
        ClientFormat::CertManager => "cert-manager",
        ClientFormat::Caddy => "Caddy",
        ClientFormat::Certbot => "certbot",
        ClientFormat::CertbotRfc2136 => "certbot, by DNS UPDATE",
        ClientFormat::CertManagerRfc2136 => "cert-manager, by DNS UPDATE",
        ClientFormat::Nsupdate => "nsupdate",
        other => other.title(),
    }
}

/// The account with its keys, or with placeholders.
fn credentials(loaded: &Loaded, revealed: Option<&NewCredentials>) -> AccountCredentials {
    let account = &loaded.account;
    let shown = revealed.map(|revealed| &revealed.account);
    let password = shown.map(|shown| shown.password.as_str()).filter(|password| !password.is_empty());
    let algorithm: Option<Algorithm> = account.tsig.as_deref().and_then(|algorithm| algorithm.parse().ok());
    let placeholder = algorithm.map(|algorithm| TsigKeyReply {
        name: format!("{}.", account.username),
        algorithm,
        secret: RevealedSecret::new(TSIG_PLACEHOLDER),
    });
    let owner = account.owners.first();
    AccountCredentials {
        username: account.username,
        password: RevealedSecret::new(password.unwrap_or(PLACEHOLDER)),
        fulldomain: owner.map(|owner| owner.fulldomain.clone()).unwrap_or_default(),
        subdomain: owner.map(|owner| owner.subdomain.clone()).unwrap_or_default(),
        allowfrom: account.allowfrom.clone(),
        tsig: shown.and_then(|shown| shown.tsig.clone()).or(placeholder),
    }
}
