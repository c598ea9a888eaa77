//! The forms that change an account. What the visitor may not do has no form.

use maud::{Markup, html};

use crate::api::types::accounts::{AccountState, AccountView};
use crate::model::admin_token::AdminScope;
use crate::model::tsig::Algorithm;

use super::super::form::Fields;
use super::super::page::{button, csrf};
use super::super::signed_in::SignedIn;
use super::loaded::path;

/// The most names and values in a selection.
const MAX_OPTIONS: usize = 50;

/// Where a form is shown, and with what.
struct Context<'a> {
    account: &'a AccountView,
    signed_in: &'a SignedIn,
    /// What was typed into the form that was refused.
    typed: &'a Fields,
}

impl Context<'_> {
    fn action(&self, rest: &str) -> String {
        path(&self.account.username.to_string(), rest)
    }

    /// What was typed, or what holds now.
    fn value(&self, field: &str, now: &str) -> String {
        if self.typed.text("form") == "edit" { self.typed.text(field).to_owned() } else { now.to_owned() }
    }

    fn form(&self, rest: &str, title: &str, fields: &Markup, label: &str) -> Markup {
        html! {
            form.stack method="post" action=(self.action(rest)) {
                h3 { (title) }
                (csrf(self.signed_in))
                (fields)
                button.quiet { (label) }
            }
        }
    }
}

/// All forms for whoever is signed in.
pub fn forms(account: &AccountView, signed_in: &SignedIn, typed: &Fields) -> Markup {
    let context = Context { account, signed_in, typed };
    let visitor = &signed_in.session.visitor;
    let is_operator = visitor.may(AdminScope::Accounts);
    let is_holder = visitor.account() == Some(account.username);
    if !is_operator && !is_holder {
        return html! { p.lead { "This sign-in shows accounts and changes nothing." } };
    }
    let is_active = account.state == AccountState::Active;
    html! {
        div.grid.forms {
            (edit(&context, is_operator))
            @if is_active { (rotate(&context)) }
            @if is_operator && is_active { (publish(&context)) (retire(&context)) (tsig(&context)) (aliases(&context)) (subdomains(&context)) }
        }
        div.actions {
            @if is_operator && is_active {
                (button(signed_in, &context.action("/disable"), "Disable", "danger", Some("Disable this account? Its client cannot \
                    publish until it is enabled again.")))
            }
            @if account.state != AccountState::Deleted || is_operator {
                a.button.quiet href=(context.action("/delete")) { "Delete this account" }
            }
        }
    }
}

fn edit(context: &Context<'_>, is_operator: bool) -> Markup {
    let networks: Vec<String> = context.account.allowfrom.networks().iter().map(ToString::to_string).collect();
    let fields = html! {
        input type="hidden" name="form" value="edit";
        label { "Note" input name="note" maxlength="200" value=(context.value("note", context.account.note.as_str())); }
        label {
            "Networks"
            textarea name="networks" rows="3" maxlength="20000" aria-describedby="networks-hint" {
                (context.value("networks", &networks.join("\n")))
            }
        }
        p.hint #networks-hint {
            "One network a line, like 192.0.2.7/32, from which the key works; none: any address. "
            @if !is_operator { "You can narrow them; ask the operator to widen them." }
        }
    };
    context.form("/edit", "Note and networks", &fields, "Save")
}

fn rotate(context: &Context<'_>) -> Markup {
    let fields = html! {
        label {
            "The former key still publishes for"
            select name="grace" {
                option value="1h" selected { "1 hour" }
                option value="24h" { "1 day" }
                option value="168h" { "7 days" }
                option value="0s" { "no time: it ends now" }
            }
        }
        p.hint { "The new password is shown once, with the settings of the client." }
    };
    context.form("/rotate", "New key", &fields, "Rotate the key")
}

fn name_options(context: &Context<'_>) -> Markup {
    html! {
        @for owner in context.account.owners.iter().take(MAX_OPTIONS) { option value=(owner.fulldomain) { (owner.fulldomain) } }
    }
}

fn publish(context: &Context<'_>) -> Markup {
    let fields = html! {
        label { "Name" select name="name" { (name_options(context)) } }
        label {
            "Value"
            input.mono name="txt" required minlength="43" maxlength="43" autocomplete="off" spellcheck="false"
                value=(if context.typed.text("form") == "publish" { context.typed.text("txt") } else { "" });
        }
        input type="hidden" name="form" value="publish";
        p.hint { "The 43 characters that the CA's challenge asks for." }
    };
    context.form("/publish", "Publish by hand", &fields, "Publish")
}

fn retire(context: &Context<'_>) -> Markup {
    let values = context.account.owners.iter().flat_map(|owner| {
        owner.values.iter().map(move |value| (format!("{} {}", owner.fulldomain, value.txt), value.txt.to_string()))
    });
    let values: Vec<(String, String)> = values.take(MAX_OPTIONS).collect();
    if values.is_empty() {
        return html! {};
    }
    let fields = html! {
        label {
            "Value"
            select.mono name="value" { @for (value, label) in &values { option value=(value) { (label) } } }
        }
        p.hint { "The DNS stops answering with it at once." }
    };
    context.form("/retire", "Retire a value", &fields, "Retire")
}

fn tsig(context: &Context<'_>) -> Markup {
    let has_key = context.account.tsig.is_some();
    let fields = html! {
        label {
            "Algorithm"
            select name="algorithm" {
                @for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::HmacMd5) {
                    option selected[algorithm == Algorithm::HmacSha256] { (algorithm) }
                }
            }
        }
        p.hint { "For clients that send DNS UPDATEs. The secret is shown once." }
    };
    let label = if has_key { "Replace the TSIG key" } else { "Create a TSIG key" };
    html! {
        div {
            (context.form("/tsig", "TSIG key", &fields, label))
            @if has_key {
                (button(context.signed_in, &context.action("/tsig/delete"), "Remove the TSIG key", "danger",
                    Some("Remove the TSIG key? Clients that sign with it can no longer publish.")))
            }
        }
    }
}

fn aliases(context: &Context<'_>) -> Markup {
    let fields = html! {
        label {
            "Alias"
            input name="alias" required maxlength="253" placeholder="_acme-challenge.example.com" autocomplete="off"
                value=(if context.typed.text("form") == "alias" { context.typed.text("alias") } else { "" });
        }
        label { "Stands for" select name="name" { (name_options(context)) } }
        input type="hidden" name="form" value="alias";
        p.hint { "A name in another zone that clients send DNS UPDATEs for." }
    };
    html! {
        div {
            (context.form("/aliases", "Aliases", &fields, "Add the alias"))
            @for alias in context.account.aliases.iter().take(MAX_OPTIONS) {
                form.inline method="post" action=(context.action("/aliases/remove")) {
                    (csrf(context.signed_in))
                    input type="hidden" name="alias" value=(alias.alias);
                    button.danger { "Remove " (alias.alias) }
                }
            }
        }
    }
}

fn subdomains(context: &Context<'_>) -> Markup {
    let owners = &context.account.owners;
    let fields = html! {
        label {
            "Label"
            input name="subdomain" maxlength="63" placeholder="a random one" autocomplete="off"
                value=(if context.typed.text("form") == "subdomain" { context.typed.text("subdomain") } else { "" });
        }
        input type="hidden" name="form" value="subdomain";
        p.hint { "A further name in the first zone, as for another domain of the same client." }
    };
    let removed = html! {
        label { "Name" select name="name" { (name_options(context)) } }
        p.hint { "The name goes with its values and aliases. The account keeps its last one." }
    };
    html! {
        (context.form("/subdomains", "Another name", &fields, "Add a name"))
        @if owners.len() > 1 { (context.form("/subdomains/remove", "Remove a name", &removed, "Remove the name")) }
    }
}

/// The question before an account is deleted.
pub fn deletion(account: &AccountView, signed_in: &SignedIn) -> Markup {
    let is_operator = signed_in.session.visitor.may(AdminScope::Accounts);
    let place = path(&account.username.to_string(), "");
    html! {
        p.lead {
            "The key stops working at once, and the names have no values any more. "
            @if is_operator { "You can restore the account for 30 days." }
            @else { "This sign-in ends. The operator can restore the account for 30 days." }
        }
        @if !account.note.as_str().is_empty() { p { "Note: " (account.note.as_str()) } }
        ul { @for owner in account.owners.iter().take(MAX_OPTIONS) { li.mono { (owner.fulldomain) } } }
        form.stack method="post" action={ (place) "/delete" } {
            (csrf(signed_in))
            @if is_operator {
                label.check { input type="checkbox" name="now" value="true"; "At once and for good: it cannot be restored" }
            }
            div.actions {
                button.danger { "Delete the account" }
                a.button.quiet href=(place) { "Keep it" }
            }
        }
    }
}
