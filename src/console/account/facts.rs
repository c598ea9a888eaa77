//! What an account is: its state, its times, its networks.

use maud::{Markup, html};

use crate::api::types::accounts::{AccountState, AccountView};
use crate::model::admin_token::AdminScope;

use super::super::page::{Tone, badge, button, time, time_or};
use super::super::signed_in::SignedIn;
use super::loaded::path;

/// The most networks that are listed.
const MAX_NETWORKS: usize = 32;

/// The state in a badge.
pub fn state(account: &AccountView) -> Markup {
    match account.state {
        AccountState::Active if account.overdue => badge(Tone::Warning, "Renewal overdue"),
        AccountState::Active => badge(Tone::Good, "Active"),
        AccountState::Disabled => badge(Tone::Bad, "Disabled"),
        AccountState::Deleted => badge(Tone::Bad, "Deleted"),
        AccountState::Removed => badge(Tone::Bad, "Removed"),
    }
}

/// What is unusual about the account, and what to do.
pub fn notice(account: &AccountView, signed_in: &SignedIn) -> Markup {
    let may = signed_in.session.visitor.may(AdminScope::Accounts);
    let enable = path(&account.username.to_string(), "/enable");
    html! {
        @match account.state {
            AccountState::Disabled => {
                div.notice.bad {
                    p { strong { "This account is disabled." } " Its key does not work, and its names have no values in the DNS." }
                    @if may { (button(signed_in, &enable, "Enable", "", None)) }
                }
            }
            AccountState::Deleted => {
                div.notice.bad {
                    p { strong { "This account is deleted." } " Its key does not work, and its names have no values in the DNS. "
                        @if let Some(at) = &account.removed_at { "It is removed for good " (time(at)) "." } }
                    @if may { (button(signed_in, &enable, "Restore", "", None)) }
                }
            }
            AccountState::Active if account.overdue => {
                div.notice.warning {
                    p { strong { "The renewal is overdue." } " The account was expected to publish "
                        (time_or(account.next_renewal.as_deref(), "earlier")) ", by its own earlier renewals. "
                        "See whether its client still runs." }
                }
            }
            AccountState::Active | AccountState::Removed => {}
        }
    }
}

/// The facts.
pub fn facts(account: &AccountView) -> Markup {
    let networks = account.allowfrom.networks();
    html! {
        dl.facts {
            dt { "State" }
            dd { (state(account)) }
            dt { "Note" }
            dd { @if account.note.as_str().is_empty() { span.dim { "none" } } @else { (account.note.as_str()) } }
            dt { "Created" }
            dd { (time(&account.created)) }
            dt { "Last publish" }
            dd { (time_or(account.last_update.as_deref(), "never")) }
            dt { "Next renewal" }
            dd {
                @match &account.next_renewal {
                    Some(at) => { "expected " (time(at)) }
                    None => { span.dim { "known after a few renewals" } }
                }
            }
            dt { "Networks" }
            dd {
                @if networks.is_empty() { "any address" }
                @for (place, network) in networks.iter().take(MAX_NETWORKS).enumerate() {
                    @if place > 0 { ", " }
                    span.mono { (network) }
                }
                @if networks.len() > MAX_NETWORKS { " and " (networks.len() - MAX_NETWORKS) " more" }
            }
            dt { "Username" }
            dd.mono { (account.username) }
            dt { "TSIG key" }
            dd { @match &account.tsig { Some(algorithm) => { (algorithm) } None => { span.dim { "none" } } } }
            @if let Some(until) = &account.former_key_until {
                dt { "Former key" }
                dd { "publishes until " (time(until)) }
            }
        }
    }
}
