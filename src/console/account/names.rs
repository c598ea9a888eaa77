//! The names of an account, the records that lead to them, and whether these are in place.

use maud::{Markup, html};

use crate::api::types::accounts::OwnerView;
use crate::api::types::delegations::{Assessment, DelegationView};

use super::super::page::{Tone, badge, copyable};
use super::loaded::{Loaded, encoded, path};

/// The most names that are shown.
const MAX_NAMES: usize = 20;

/// The names and their records.
pub fn names(loaded: &Loaded, typed: &str) -> Markup {
    let account = &loaded.account;
    let here = path(&account.username.to_string(), &format!("?domain={}#delegation", encoded(typed)));
    html! {
        div #delegations data-live {
            @match &loaded.delegations {
                Ok(found) if !found.is_empty() => { @for delegation in found { (delegation_state(delegation, &here)) } }
                Ok(_) => { p.lead { "No domain is known for this account yet: its note names none. Add the record below to the DNS of \
                                     the domain, or check a domain here." } }
                Err(problem) => { p.lead { (problem) } }
            }
        }
        div #names data-live { (own_names(loaded)) }
        form.filters method="get" action=(path(&account.username.to_string(), "")) {
            label { "Domain" input name="domain" value=(typed) maxlength="253" placeholder="example.com" autocomplete="off"; }
            button.quiet { "Check its CNAME" }
        }
        div #asked-domain data-live {
            @match &loaded.asked {
                Some(Ok(delegation)) => (delegation_state(delegation, &here)),
                Some(Err(problem)) => { p.notice.bad role="alert" { (problem) } }
                None => {}
            }
        }
    }
}

fn own_names(loaded: &Loaded) -> Markup {
    let account = &loaded.account;
    let domain = loaded.domain();
    html! {
        @for owner in account.owners.iter().take(MAX_NAMES) { (name(owner, &domain, loaded)) }
        @if account.owners.len() > MAX_NAMES { p.hint { "and " (account.owners.len() - MAX_NAMES) " more names" } }
        @if !account.aliases.is_empty() {
            h3 { "Aliases" }
            ul {
                @for alias in account.aliases.iter().take(MAX_NAMES) {
                    li { span.mono { (alias.alias) } " stands for " span.mono { (alias.fulldomain) } }
                }
                @if account.aliases.len() > MAX_NAMES { li { "and " (account.aliases.len() - MAX_NAMES) " more" } }
            }
        }
    }
}

fn name(owner: &OwnerView, domain: &str, loaded: &Loaded) -> Markup {
    let records = loaded.server.delegation(domain, &owner.fulldomain);
    // Where the record is missing, the state of the domain has it.
    let stands_above =
        loaded.delegations.iter().flatten().any(|found| lacks_records(found) && found.records == records);
    html! {
        h3.mono { (owner.fulldomain) }
        @if stands_above { p.hint { "The record above leads here." } }
        @else { (copyable(&format!("Record that leads to {}", owner.fulldomain), &records.join("\n"))) }
    }
}

fn lacks_records(delegation: &DelegationView) -> bool {
    matches!(delegation.assessment, Assessment::Fault | Assessment::Warning)
}

/// `here`: the address of the page.
fn delegation_state(delegation: &DelegationView, here: &str) -> Markup {
    let (tone, word) = match delegation.assessment {
        _ if delegation.pending => (Tone::Neutral, "Looking it up"),
        Assessment::Good => (Tone::Good, "CNAME in place"),
        Assessment::Warning => (Tone::Warning, "Check the CNAME"),
        Assessment::Fault => (Tone::Bad, "CNAME missing or wrong"),
        Assessment::Unknown => (Tone::Neutral, "Not known"),
    };
    html! {
        div.notice.(tone.class()) {
            p { strong { (delegation.domain) } " " (badge(tone, word)) }
            p { span.mono { (delegation.looked_at) } ": "
                @if delegation.pending { (delegation.text) "; the answer appears here. " a href=(here) { "Look again" } }
                @else if delegation.assessment == Assessment::Unknown { (delegation.text) "." }
                @else { (delegation.text) ", as the DNS says now." } }
            @if lacks_records(delegation) {
                p { "Let the DNS of " (delegation.domain) " have:" }
                (copyable(&format!("Record for {}", delegation.domain), &delegation.records.join("\n")))
            }
        }
    }
}
