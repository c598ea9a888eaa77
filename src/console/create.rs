//! The form that creates an account: a domain, the networks of its client, and the client.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use crate::api::types::accounts::{AccountCredentials, CreateAccount};
use crate::model::account::{AllowFrom, Note};
use crate::model::admin_token::AdminScope;
use crate::model::name::domain_of;

use super::error::PageError;
use super::form::{Fields, Submitted};
use super::page::{Page, Section, csrf, encoded};
use super::session::NewCredentials;
use super::sign_in::redirect;
use super::signed_in::SignedIn;
use super::state::Shared;

/// The clients that an account is created for: the value of the field, and the name.
const CLIENTS: [(&str, &str); 8] = [
    ("certbot", "certbot"),
    ("lego", "lego"),
    ("acme-sh", "acme.sh"),
    ("caddy", "Caddy"),
    ("traefik", "Traefik"),
    ("cert-manager", "cert-manager"),
    ("httpreq", "httpreq (lego, Traefik)"),
    ("goacmedns", "another client with the acme-dns API"),
];

/// What is wrong with the form, and in which field.
struct Problem {
    field: &'static str,
    text: String,
}

/// Shows the form.
pub async fn show(signed_in: SignedIn) -> Result<Html<String>, PageError> {
    if !signed_in.session.visitor.may(AdminScope::Accounts) {
        return Err(PageError::Scope("accounts"));
    }
    Ok(page(&signed_in, &Fields::default(), None))
}

fn page(signed_in: &SignedIn, fields: &Fields, problem: Option<&Problem>) -> Html<String> {
    let content = html! {
        p.lead { "An account publishes the challenges of one domain. You add one CNAME, once; then its client gets certificates \
                  for the domain, wildcards included." }
        form.stack method="post" action="/accounts" {
            (csrf(signed_in))
            (field(problem, "domain", "Domain", &html! {
                input #domain name="domain" value=(fields.text("domain")) required maxlength="253" placeholder="example.com"
                    autocomplete="off" autofocus aria-describedby="domain-hint" aria-invalid=[invalid(problem, "domain")];
                span.hint #domain-hint { "Without " code { "*." } ": a wildcard has the same challenge." }
            }))
            (field(problem, "networks", "Networks of the client", &html! {
                input #networks name="networks" value=(fields.text("networks")) maxlength="2000" placeholder="any"
                    autocomplete="off" aria-describedby="networks-hint" aria-invalid=[invalid(problem, "networks")];
                span.hint #networks-hint { "Networks like 192.0.2.7/32 from which the account may be used, separated by spaces or \
                                            commas. Empty: any address." }
            }))
            (field(problem, "client", "Client", &html! {
                select #client name="client" {
                    @for (value, name) in CLIENTS {
                        option value=(value) selected[fields.text("client") == value] { (name) }
                    }
                }
            }))
            button { "Create the account" }
        }
    };
    Page { title: "Create an account", section: Section::Accounts, signed_in, live: None, content }.render()
}

fn invalid(problem: Option<&Problem>, field: &str) -> Option<&'static str> {
    problem.filter(|problem| problem.field == field).map(|_| "true")
}

fn field(problem: Option<&Problem>, name: &'static str, label: &str, input: &Markup) -> Markup {
    html! {
        label { (label) (input) }
        @if let Some(problem) = problem.filter(|problem| problem.field == name) {
            p.notice.bad role="alert" { (problem.text) }
        }
    }
}

/// Creates the account, and leads to its page, which shows the password once.
pub async fn create(
    State(console): State<Shared>,
    Submitted(signed_in, fields): Submitted,
) -> Result<Response, PageError> {
    let request = match request(&fields) {
        Ok(request) => request,
        Err(problem) => {
            return Ok((StatusCode::BAD_REQUEST, page(&signed_in, &fields, Some(&problem))).into_response());
        }
    };
    let domain = request.note.as_ref().map(|note| note.as_str().to_owned()).unwrap_or_default();
    let account: AccountCredentials = console.admin.send(&signed_in, Method::POST, "/accounts", &request).await?;
    let place = format!("/accounts/{}?client={}", account.username, encoded(fields.text("client")));
    console.sessions.reveal(signed_in.session.id, NewCredentials { account, domain });
    Ok(redirect(&place, None))
}

/// The note is the domain, by which every command finds the account.
fn request(fields: &Fields) -> Result<CreateAccount, Problem> {
    let domain = domain_of(fields.text("domain"))
        .map_err(|error| Problem { field: "domain", text: format!("Expected a domain, like example.com; {error}.") })?;
    let note: Note = domain.to_string().parse().map_err(|error| Problem {
        field: "domain",
        text: format!("The account's note holds the domain, and {error}."),
    })?;
    let networks: Vec<&str> = fields.text("networks").split([',', ' ']).filter(|network| !network.is_empty()).collect();
    let networks = AllowFrom::parse(&networks).map_err(|error| Problem {
        field: "networks",
        text: format!("Expected networks, like 192.0.2.0/24; {error}."),
    })?;
    Ok(CreateAccount { allowfrom: Some(networks), note: Some(note), ..CreateAccount::default() })
}
