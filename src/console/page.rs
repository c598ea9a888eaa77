//! The frame of every page, and what pages are made of.

use axum::response::Html;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::time::relative::relative;

use super::document::document;
use super::form::CSRF;
use super::signed_in::SignedIn;

pub use super::text::{prose, shortened};

/// A part of the console, as the navigation shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Overview,
    Accounts,
    Certificates,
    Doctor,
    Queries,
    Sessions,
}

impl Section {
    const OF_OPERATORS: [Self; 5] = [Self::Overview, Self::Accounts, Self::Certificates, Self::Doctor, Self::Queries];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Accounts => "Accounts",
            Self::Certificates => "Certificates",
            Self::Doctor => "Doctor",
            Self::Queries => "Queries",
            Self::Sessions => "Sessions",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Accounts => "/accounts",
            Self::Certificates => "/certificates",
            Self::Doctor => "/doctor",
            Self::Queries => "/queries",
            Self::Sessions => "/sessions",
        }
    }
}

/// A page for whoever is signed in.
#[derive(Debug)]
pub struct Page<'a> {
    pub title: &'a str,
    pub section: Section,
    pub signed_in: &'a SignedIn,
    /// The path of the events after which the page is loaded again; `None`: the page does not change by itself.
    pub live: Option<&'a str>,
    pub content: Markup,
}

impl Page<'_> {
    /// The whole document. Elements with `data-live` and an id are replaced when an event tells of a change.
    pub fn render(self) -> Html<String> {
        self.render_again_after(None)
    }

    /// The same. Without JavaScript, the browser loads the page again after so many seconds.
    pub fn render_again_after(self, refresh: Option<u32>) -> Html<String> {
        let Self { title, section, signed_in, live, content } = self;
        let visitor = &signed_in.session.visitor;
        let body = html! {
            body data-events=[live] {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    a.brand href="/" { "txtgate" }
                    nav aria-label="Main" {
                        @if let Some(username) = visitor.account() {
                            (link(section == Section::Accounts, &format!("/accounts/{username}"), "My account"))
                        } @else {
                            @for other in Section::OF_OPERATORS {
                                (link(section == other, other.path(), other.name()))
                            }
                        }
                    }
                    div.who {
                        a href="/sessions" aria-current=[(section == Section::Sessions).then_some("page")] {
                            (visitor.name())
                        }
                        form method="post" action="/sign-out" {
                            (csrf(signed_in))
                            button.quiet { "Sign out" }
                        }
                    }
                }
                main #content tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                @if live.is_some() {
                    p.live role="status" #live-state data-on="Updates by itself" data-off="No updates: reload the page"
                        data-stopping="The daemon has stopped: this page goes on when it is back" { }
                }
            }
        };
        document(title, refresh, &body)
    }
}

fn link(is_current: bool, path: &str, name: &str) -> Markup {
    html! { a href=(path) aria-current=[is_current.then_some("page")] { (name) } }
}

/// A text within a path or a query.
pub fn encoded(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

/// The hidden field that each form needs.
pub fn csrf(signed_in: &SignedIn) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(signed_in.session.csrf); }
}

/// A button that sends a request by itself. With `confirm`, the browser asks first.
pub fn button(signed_in: &SignedIn, action: &str, label: &str, class: &str, confirm: Option<&str>) -> Markup {
    html! {
        form.inline method="post" action=(action) data-confirm=[confirm] {
            (csrf(signed_in))
            button class=(class) { (label) }
        }
    }
}

/// A time of a reply: how long ago, with the time itself on hover and for machines.
pub fn time(at: &str) -> Markup {
    html! { time datetime=(at) title=(at) { (relative(at)) } }
}

/// A time that may be missing.
pub fn time_or(at: Option<&str>, otherwise: &str) -> Markup {
    match at {
        Some(at) => time(at),
        None => html! { span.dim { (otherwise) } },
    }
}

/// How good or bad something is. The word and the sign say it as well as the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    Neutral,
}

impl Tone {
    /// The class of elements in the tone.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }

    /// The sign of the tone, as the command line prints it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✗",
            Self::Neutral => "·",
        }
    }
}

/// A word with a sign, in a tone.
pub fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { span aria-hidden="true" { (tone.sign()) " " } (word) } }
}

/// A text to copy, in a block of its own. A single line is wrapped where it is long; several keep their form.
pub fn copyable(label: &str, text: &str) -> Markup {
    html! {
        div.copyable.line[!text.contains('\n')] {
            pre tabindex="0" aria-label=(label) { code { (text) } }
            button.quiet.copy type="button" data-copy hidden aria-label={ "Copy " (label) } { "Copy" }
        }
    }
}

/// What stands in place of a list without items: what to do first.
pub fn empty(what: &str, advice: &Markup) -> Markup {
    html! { div.empty { p { (what) } p { (advice) } } }
}
