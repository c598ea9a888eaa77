//! The last changes of an account, with who asked for them.

use maud::{Markup, html};

use crate::api::types::changes::ChangeList;

use super::super::page::{empty, time};

/// The most changes that are shown.
const MAX_SHOWN: usize = 50;

/// The changes as a table.
pub fn changes(found: &Result<ChangeList, String>) -> Markup {
    let list = match found {
        Ok(list) => list,
        Err(problem) => return html! { p { (problem) } },
    };
    html! {
        p.hint { "Kept in memory since " (time(&list.complete_since)) "; the log of the daemon goes further back." }
        @if list.items.is_empty() {
            (empty("Nothing has changed since then.", &html! { "Whatever is done with the account appears here, with who did it." }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Last changes" {
                table {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Name" } th scope="col" { "Who" }
                    } }
                    tbody {
                        @for change in list.items.iter().take(MAX_SHOWN) {
                            tr {
                                td { (time(&change.time)) }
                                td { (change.action) }
                                td.mono { (change.name.as_deref().unwrap_or_default()) }
                                td { (change.actor) }
                            }
                        }
                    }
                }
            }
            @if list.truncated || list.items.len() > MAX_SHOWN { p.hint { "Older changes are in the log of the daemon." } }
        }
    }
}
