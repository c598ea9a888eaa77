//! The validations of an account: each value with who has asked for it, and what that means.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::api::types::accounts::OwnerView;
use crate::api::types::queries::QueryView;
use crate::api::types::values::{RetiredView, ValueView};
use crate::model::time::PreciseTimestamp;

use super::super::page::{Tone, badge, empty, time};
use super::super::timeline::ValueStory;
use super::super::timeline::drawing::{left_out, picture, silent, table};
use super::loaded::Loaded;

/// The most values that are drawn, the newest; of the others the verdict alone is shown.
const MAX_DRAWN: usize = 3;
/// The most values that are shown.
const MAX_SHOWN: usize = 24;

/// One value, live or retired.
struct PublishedValue<'a> {
    owner: &'a OwnerView,
    story: ValueStory<'a>,
    /// When it ends, while it is served.
    expires: Option<&'a str>,
}

/// The validations, newest first.
pub fn validations(loaded: &Loaded) -> Markup {
    let values = values(loaded);
    let has_several = loaded.account.owners.len() > 1;
    html! {
        @if let Err(problem) = &loaded.queries { p.notice.warning { "Who asked is not known: " (problem) } }
        @if values.is_empty() {
            (empty("No value has been published yet.", &html! {
                "Add the record to the DNS of the domain, give the client its settings below, and let it ask for a certificate: \
                 the validation appears here as it happens."
            }))
        }
        @for owner in loaded.account.owners.iter().take(MAX_SHOWN) {
            @if let Some(verdict) = &owner.verdict {
                div.notice.warning { p { span.mono { (owner.fulldomain) } ": " (verdict.text) "." } }
            }
        }
        @for (place, value) in values.iter().take(MAX_DRAWN).enumerate() { (drawn(value, place, has_several)) }
        @if !values.is_empty() { (legend()) }
        @if values.len() > MAX_DRAWN {
            h3 { "Before these" }
            ul.plain {
                @for value in values.iter().skip(MAX_DRAWN).take(MAX_SHOWN - MAX_DRAWN) {
                    li { (heading(value)) " " (words(&value.story)) }
                }
                @if values.len() > MAX_SHOWN { li { "and " (values.len() - MAX_SHOWN) " more" } }
            }
        }
    }
}

/// The values of all names, newest first.
fn values(loaded: &Loaded) -> Vec<PublishedValue<'_>> {
    let now = PreciseTimestamp::now();
    let mut by_name: BTreeMap<&str, Vec<&QueryView>> = BTreeMap::new();
    for query in loaded.queries.iter().flat_map(|queries| &queries.items) {
        by_name.entry(&query.name).or_default().push(query);
    }
    let mut values: Vec<PublishedValue<'_>> = Vec::new();
    for owner in &loaded.account.owners {
        let queries = by_name.get(owner.fulldomain.as_str()).map_or(&[][..], Vec::as_slice);
        let live = owner.values.iter().map(|value| live(owner, value, queries, now));
        let retired = owner.retired.iter().map(|value| retired(owner, value, queries, now));
        values.extend(compared(live.chain(retired).collect()));
    }
    values.sort_by_key(|value| std::cmp::Reverse(value.story.published));
    values
}

/// The values of one name, each with the networks that got the last good one before and have not asked for it.
fn compared(mut values: Vec<PublishedValue<'_>>) -> Vec<PublishedValue<'_>> {
    values.sort_by_key(|value| value.story.published);
    let mut earlier = BTreeSet::new();
    for PublishedValue { story, .. } in &mut values {
        story.compare_with(&earlier);
        if let Some(networks) = story.validated_by() {
            earlier = networks;
        }
    }
    values
}

fn live<'a>(
    owner: &'a OwnerView,
    value: &'a ValueView,
    queries: &[&QueryView],
    now: PreciseTimestamp,
) -> PublishedValue<'a> {
    let published = value.published_at.or_else(|| value.published.parse().ok()).unwrap_or(now);
    let story = ValueStory::of(value.txt.as_str(), (published, None), value.verdict.as_ref(), queries, now);
    PublishedValue { owner, story, expires: Some(&value.expires) }
}

fn retired<'a>(
    owner: &'a OwnerView,
    value: &'a RetiredView,
    queries: &[&QueryView],
    now: PreciseTimestamp,
) -> PublishedValue<'a> {
    let times = (value.published, Some(value.retired));
    let story = ValueStory::of(value.txt.as_str(), times, Some(&value.verdict), queries, now);
    PublishedValue { owner, story, expires: None }
}

fn heading(value: &PublishedValue<'_>) -> Markup {
    let story = &value.story;
    html! {
        (badge(story.tone(), story.word()))
        " published " (time(&story.published.to_string()))
        @match (story.retired, value.expires) {
            (Some(retired), _) => { ", retired " (time(&retired.to_string())) }
            (None, Some(expires)) => { ", served, ends " (time(expires)) }
            (None, None) => {}
        }
    }
}

/// The verdict as a sentence.
fn words(story: &ValueStory<'_>) -> Markup {
    let Some(verdict) = story.verdict else {
        return html! { span.dim { "The query log says nothing of this value." } };
    };
    let mut text = verdict.text.clone();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    // A verdict may end with a question.
    html! { (text) @if !text.ends_with('?') { "." } }
}

fn drawn(value: &PublishedValue<'_>, place: usize, has_several: bool) -> Markup {
    let story = &value.story;
    let id = format!("validation-{place}");
    let class = if story.tone() == Tone::Neutral { "" } else { story.tone().class() };
    html! {
        article.panel.validation.(class) aria-labelledby={ (id) "-head" } {
            h3 id={ (id) "-head" } { (heading(value)) }
            p { (words(story)) @if let Some(silent) = silent(story) { " " (silent) } }
            p.hint { span.mono { (story.txt) } @if has_several { " at " span.mono { (value.owner.fulldomain) } } }
            (picture(story))
            @if let Some(more) = left_out(story) { p.hint { (more) "." } }
            details id={ (id) "-table" } {
                summary { "The same as a table" }
                (table(story))
            }
        }
    }
}

/// What the signs of the drawings mean.
fn legend() -> Markup {
    html! {
        p.hint.legend {
            "● got this value  ◆ got another value  ○ got an empty answer  ▲ truncated  ✗ error or no reply  ❘ asked for something else"
        }
    }
}
