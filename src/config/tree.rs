//! The configuration as a tree in which every key and value has its place, in the file or in the environment.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// The origin of a key or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the file.
    File(Range<usize>),
    /// An environment variable, by its name.
    Variable(String),
    /// Nowhere: the file has no such key, nor a table that it would be in.
    Missing,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    pub place: Place,
}

/// A value. Environment variables are texts until a key wants something else of them.
#[derive(Clone, Debug)]
pub enum Kind {
    Text(String),
    Whole(i128),
    /// A number with a fraction, or a date: no key has either.
    Other(String),
    Bool(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// A key of a table: its place, and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    pub place: Place,
    pub node: Node,
}

impl Node {
    /// The tree of a file.
    pub fn of_file(table: &Spanned<DeTable<'_>>) -> Self {
        Self { kind: Kind::Table(entries(table.get_ref())), place: Place::Missing }
    }

    /// Puts a text in the place of the value at a key such as `zone.0.name`. Lists grow by one entry at a time, which an
    /// index behind the end does not allow.
    pub fn set(&mut self, key: &str, text: &str, place: &Place) -> Result<(), String> {
        let Some((step, rest)) = key.split_once('.').map(|(step, rest)| (step, Some(rest))).or(Some((key, None)))
        else {
            return Ok(());
        };
        let child = self.child(step, place)?;
        match rest {
            Some(rest) => child.set(rest, text, place),
            None => {
                *child = Self { kind: Kind::Text(text.to_owned()), place: place.clone() };
                Ok(())
            }
        }
    }

    /// The value at one step below, which is made where there is none. A value of another kind makes room.
    fn child(&mut self, step: &str, place: &Place) -> Result<&mut Self, String> {
        let new = || Self { kind: Kind::Table(BTreeMap::new()), place: place.clone() };
        let Ok(index) = step.parse::<usize>() else {
            if !matches!(self.kind, Kind::Table(_)) {
                *self = new();
            }
            let Kind::Table(entries) = &mut self.kind else { return Err("write a table".into()) };
            let entry = entries.entry(step.to_owned()).or_insert_with(|| Entry { place: place.clone(), node: new() });
            return Ok(&mut entry.node);
        };
        if !matches!(self.kind, Kind::List(_)) {
            *self = Self { kind: Kind::List(Vec::new()), place: place.clone() };
        }
        let Kind::List(items) = &mut self.kind else { return Err("write a list".into()) };
        if index > items.len() {
            return Err(format!("there is no entry {} before it; number the entries from 0 on", index - 1));
        }
        if index == items.len() {
            items.push(new());
        }
        Ok(&mut items[index])
    }

    /// The place of a key's value, as `dns.listen.0`; where the key is absent, that of the nearest value around it.
    pub fn place_of(&self, key: &str) -> &Place {
        let mut node = self;
        for step in key.split('.') {
            let next = match &node.kind {
                Kind::Table(entries) => entries.get(step).map(|entry| &entry.node),
                Kind::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let Some(next) = next else { return &node.place };
            node = next;
        }
        &node.place
    }

    /// What the value is, for a message.
    pub fn described(&self) -> String {
        match &self.kind {
            Kind::Text(text) => format!("the text {text:?}"),
            Kind::Whole(number) => format!("the number {number}"),
            Kind::Other(text) => text.clone(),
            Kind::Bool(value) => value.to_string(),
            Kind::List(_) => "a list".into(),
            Kind::Table(_) => "a table".into(),
        }
    }
}

fn entries(table: &DeTable<'_>) -> BTreeMap<String, Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let place = Place::File(key.span());
        (ToString::to_string(key.get_ref()), Entry { place, node: node(value) })
    };
    table.iter().map(|(key, value)| entry((key, value))).collect()
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => whole(number),
        DeValue::Float(number) => Kind::Other(format!("the number {number}")),
        DeValue::Boolean(value) => Kind::Bool(*value),
        DeValue::Datetime(date) => Kind::Other(format!("the date {date}")),
        DeValue::Array(items) => Kind::List(items.iter().map(node).collect()),
        DeValue::Table(table) => Kind::Table(entries(table)),
    };
    Node { kind, place: Place::File(value.span()) }
}

fn whole(number: &DeInteger<'_>) -> Kind {
    match i128::from_str_radix(number.as_str(), number.radix()) {
        Ok(read) => Kind::Whole(read),
        Err(_) => Kind::Other(format!("the number {number}")),
    }
}
