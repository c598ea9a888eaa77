//! Reads the tree into the types of [`file`](super::file). Finds all mistakes, and words them for people who write TOML:
//! serde's own messages speak of Rust's types, and end at the first mistake.

use std::cell::RefCell;
use std::collections::btree_map;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::error::{MOST_MISTAKES, Mistake};
use super::keys;
use super::tree::{Entry, Kind, Node, Place};

/// Reads a tree. A key with a mistake has its default in the result.
pub fn read<T: for<'a> Deserialize<'a> + Default>(tree: &Node) -> (T, Vec<Mistake>) {
    let found = Found::default();
    loop {
        let root = Shape { node: tree, key: String::new(), found: &found };
        match T::deserialize(root) {
            Ok(read) => return (read, found.0.into_inner()),
            Err(Refused(mistake)) => {
                let is_new = mistake.is_some_and(|mistake| found.add(mistake));
                if !is_new || found.0.borrow().len() >= MOST_MISTAKES {
                    return (T::default(), found.0.into_inner());
                }
            }
        }
    }
}

/// The mistakes so far. Keys among them are passed over when the tree is read again.
#[derive(Default)]
struct Found(RefCell<Vec<Mistake>>);

impl Found {
    /// False for a mistake that is there already.
    fn add(&self, mistake: Mistake) -> bool {
        let is_new = !self.has(&mistake.key);
        if is_new {
            self.0.borrow_mut().push(mistake);
        }
        is_new
    }

    fn has(&self, key: &str) -> bool {
        self.0.borrow().iter().any(|mistake| mistake.key == key)
    }
}

/// The error of one value; without a mistake while its place is not known.
#[derive(Debug)]
struct Refused(Option<Mistake>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", |mistake| &mistake.problem))
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self(Some(Mistake { key: String::new(), place: None, problem: problem.to_string() }))
    }
}

/// One value of the tree, at a key.
#[derive(Clone)]
struct Shape<'de> {
    node: &'de Node,
    key: String,
    found: &'de Found,
}

type Outcome<T> = Result<T, Refused>;

impl<'de> Shape<'de> {
    fn wrong<T>(&self, problem: impl Into<String>) -> Outcome<T> {
        Err(Refused(Some(self.mistake(problem))))
    }

    fn mistake(&self, problem: impl Into<String>) -> Mistake {
        Mistake { key: self.key.clone(), place: Some(self.node.place.clone()), problem: problem.into() }
    }

    /// Reads the value, and gives errors that have no place the one of this value.
    fn read<S: DeserializeSeed<'de>>(self, seed: S) -> Outcome<S::Value> {
        let here = self.mistake("");
        seed.deserialize(self).map_err(|Refused(mistake)| {
            let placed = mistake.map(|found| match found.place {
                Some(_) => found,
                None => Mistake { problem: found.problem, ..here },
            });
            Refused(placed)
        })
    }

    fn is_variable(&self) -> bool {
        matches!(self.node.place, Place::Variable(_))
    }

    fn whole<T: TryFrom<i128>>(&self) -> Outcome<T> {
        let number = match &self.node.kind {
            Kind::Whole(number) => *number,
            Kind::Text(text) if self.is_variable() => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return self.wrong(format!("found {text:?}; write a whole number")),
            },
            Kind::Text(text) if text.parse::<i128>().is_ok() => {
                return self.wrong(format!("found the text {text:?}; write the number without quotes: {text}"));
            }
            _ => return self.wrong(format!("found {}; write a whole number", self.node.described())),
        };
        let beyond = if number < 0 { "write a whole number, 0 or more" } else { "it is too large" };
        T::try_from(number).or_else(|_| self.wrong(format!("found {number}; {beyond}")))
    }

    fn text(&self) -> Outcome<&'de str> {
        match &self.node.kind {
            Kind::Text(text) => Ok(text),
            Kind::Whole(number) => self.wrong(format!("found the number {number}; write it in quotes: \"{number}\"")),
            Kind::Bool(value) => self.wrong(format!("found {value} without quotes; write a text in quotes")),
            Kind::List(items) => {
                let first = items.first().map_or_else(|| "\"...\"".into(), |item| item.described());
                let first = first.trim_start_matches("the text ").to_owned();
                self.wrong(format!("found a list; write one text without brackets, like {first}"))
            }
            _ => self.wrong(format!("found {}; write a text in quotes", self.node.described())),
        }
    }

    fn no_list<T>(&self) -> Outcome<T> {
        match &self.node.kind {
            Kind::Table(_) => self.wrong(format!("there may be several; write [[{}]] in double brackets", self.key)),
            Kind::Text(text) => self.wrong(format!("found the text {text:?}; write a list in brackets: [{text:?}]")),
            _ => self.wrong(format!("found {}; write a list in brackets, like [\"...\"]", self.node.described())),
        }
    }

    fn child(&self, step: impl fmt::Display, node: &'de Node) -> Self {
        let key = if self.key.is_empty() { step.to_string() } else { format!("{}.{step}", self.key) };
        Self { node, key, found: self.found }
    }

    fn unknown(&self, name: &str, entry: &Entry) -> Mistake {
        let key = self.child(name, self.node).key;
        let advice = match (&entry.place, keys::meant(&key).as_slice()) {
            (_, []) => "docs/configuration.md has all keys".into(),
            (Place::Variable(_), [meant, ..]) => format!("did you mean {}?", super::environment::variable_of(meant)),
            (_, meant) => suggestion(&keys::without_indexes(&self.key), meant),
        };
        Mistake { key, place: Some(entry.place.clone()), problem: format!("there is no such key; {advice}") }
    }
}

/// The items in a variable: with commas between, or as TOML in brackets.
fn split(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Texts {
        texts: Vec<String>,
    }
    let in_brackets = toml::from_str(&format!("texts = {}", text.trim()));
    let with_commas = || text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
    in_brackets.map_or_else(|_| with_commas(), |Texts { texts }| texts)
}

/// `did you mean `listen`?`, or where a key of that name stands.
fn suggestion(table: &str, meant: &[String]) -> String {
    match meant {
        [one] if keys::table_of(one) == table => format!("did you mean `{}`?", keys::last_step(one)),
        several => {
            let places: Vec<String> = several.iter().map(|key| format!("`{key}`")).collect();
            format!("did you mean {}?", places.join(" or "))
        }
    }
}

impl<'de> de::Deserializer<'de> for Shape<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.kind {
            Kind::Text(text) | Kind::Other(text) => visitor.visit_str(text),
            Kind::Whole(number) => visitor.visit_i128(*number),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Table(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.kind {
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Text(text) if self.is_variable() && text.trim() == "true" => visitor.visit_bool(true),
            Kind::Text(text) if self.is_variable() && text.trim() == "false" => visitor.visit_bool(false),
            _ => self.wrong(format!("found {}; write true or false, without quotes", self.node.described())),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let number = self.whole()?;
        visitor.visit_u32(number)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let number = self.whole()?;
        visitor.visit_u64(number)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let text = self.text()?;
        visitor.visit_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    /// An empty variable is as good as none.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.kind {
            Kind::Text(text) if self.is_variable() && text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.kind {
            Kind::List(items) => {
                let items = items.iter().enumerate().map(|(index, item)| self.child(index, item));
                visitor.visit_seq(List { items, found: self.found })
            }
            Kind::Text(text) if self.is_variable() => {
                let items: SeqDeserializer<_, Refused> = SeqDeserializer::new(split(text).into_iter());
                visitor.visit_seq(items).map_err(|error| Refused(Some(self.mistake(error.to_string()))))
            }
            _ => self.no_list(),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        let Kind::Table(entries) = &self.node.kind else {
            let problem = if self.is_variable() {
                format!("it is a table; set one of its keys, like {}__...", super::environment::variable_of(&self.key))
            } else {
                format!("found {}; write a table, [{}], with keys below it", self.node.described(), self.key)
            };
            return self.wrong(problem);
        };
        for (name, entry) in entries {
            if !fields.contains(&name.as_str()) {
                self.found.add(self.unknown(name, entry));
            }
        }
        visitor.visit_map(Members { shape: self, entries: entries.iter(), value: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        let text = self.text()?;
        if !variants.contains(&text) {
            let all: Vec<String> = variants.iter().map(|variant| format!("{variant:?}")).collect();
            let meant = keys::nearest(text, variants.iter().copied());
            let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
            return self.wrong(format!("found {text:?}; {meant}write one of {}", all.join(", ")));
        }
        let name: StrDeserializer<'_, Refused> = text.into_deserializer();
        visitor.visit_enum(name)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

struct List<'de, I> {
    items: I,
    found: &'de Found,
}

impl<'de, I: Iterator<Item = Shape<'de>>> de::SeqAccess<'de> for List<'de, I> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        let found = self.found;
        match self.items.find(|item| !found.has(&item.key)) {
            Some(item) => item.read(seed).map(Some),
            None => Ok(None),
        }
    }
}

struct Members<'de> {
    shape: Shape<'de>,
    entries: btree_map::Iter<'de, String, Entry>,
    value: Option<Shape<'de>>,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        for (name, entry) in self.entries.by_ref() {
            let child = self.shape.child(name, &entry.node);
            if !self.shape.found.has(&child.key) {
                self.value = Some(child);
                let name: StrDeserializer<'_, Refused> = name.as_str().into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        match self.value.take() {
            Some(value) => value.read(seed),
            None => Err(de::Error::custom("")),
        }
    }
}
