//! The document of every page, and pages for nobody in particular.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON_PATH, SCRIPT_PATH, STYLE_PATH};

/// A page for nobody in particular: the sign-in, and errors.
pub fn bare(title: &str, content: &Markup) -> Html<String> {
    let body = html! {
        body {
            header.bar { a.brand href="/" { "txtgate" } }
            main.narrow #content { h1 { (title) } (content) }
        }
    };
    document(title, None, &body)
}

/// The whole document around a body.
pub fn document(title: &str, refresh: Option<u32>, body: &Markup) -> Html<String> {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · txtgate" }
                link rel="icon" href=(*ICON_PATH);
                link rel="stylesheet" href=(*STYLE_PATH);
                @if let Some(seconds) = refresh { noscript { meta http-equiv="refresh" content=(seconds); } }
                script src=(*SCRIPT_PATH) defer {}
            }
            (body)
        }
    };
    Html(whole.into_string())
}
