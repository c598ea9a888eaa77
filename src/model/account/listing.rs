//! Which accounts a list has, in which order, and where a page of it begins.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::name::ZoneName;
use crate::model::text::serde_as_text;

use super::Username;
use super::search::SearchTerm;

/// The state of the accounts in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    Active,
    Disabled,
    Deleted,
}

/// What accounts are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccountSort {
    #[default]
    Username,
    /// The zone and the label of the first name.
    Label,
    Created,
    /// The last publication; accounts that have never published count as the earliest.
    LastUpdate,
    /// When the next renewal is expected; accounts of which that is not known count as the latest.
    NextRenewal,
}

/// The direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl Order {
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

impl AccountSort {
    /// The direction that people expect: names from a to z, the newest first, and the next renewal first.
    pub fn usual_order(self) -> Order {
        match self {
            Self::Username | Self::Label | Self::NextRenewal => Order::Ascending,
            Self::Created | Self::LastUpdate => Order::Descending,
        }
    }
}

/// A word is none of those that a type has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write one of {expected}; found {found:?}")]
pub struct WordError {
    found: String,
    expected: &'static str,
}

/// Words for the values of a type without fields.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:ident),+) => {
        impl FromStr for $type {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err(WordError { found: text.chars().take(80).collect(), expected: $expected }),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$value => $word,)+
                })
            }
        }

        serde_as_text!($type);
    };
}

words!(StateFilter, "active, disabled, deleted",
    "active" => Active, "disabled" => Disabled, "deleted" => Deleted);
words!(AccountSort, "username, label, created, last_update, next_renewal",
    "username" => Username, "label" => Label, "created" => Created, "last_update" => LastUpdate, "next_renewal" => NextRenewal);
words!(Order, "asc, desc", "asc" => Ascending, "desc" => Descending);

/// The place of an account in a list, from which on or up to which the list is read. It stays valid when the account is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cursor {
    Username(Username),
    Label {
        zone: String,
        label: String,
    },
    /// A time, and the row of the account, as several have the same time.
    Created(i64, i64),
    LastUpdate(i64, i64),
    NextRenewal(i64, i64),
}

impl Cursor {
    /// The sort that the cursor belongs to.
    pub fn sort(&self) -> AccountSort {
        match self {
            Self::Username(_) => AccountSort::Username,
            Self::Label { .. } => AccountSort::Label,
            Self::Created(..) => AccountSort::Created,
            Self::LastUpdate(..) => AccountSort::LastUpdate,
            Self::NextRenewal(..) => AccountSort::NextRenewal,
        }
    }
}

/// The most bytes of a cursor: a zone's name and a label of it, with room to spare.
const MAX_CURSOR: usize = 600;

/// A text is no [`Cursor`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no cursor; take `next` or `previous` of a page, or leave it out to begin with the first page")]
pub struct CursorError(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username(username) => username.fmt(f),
            Self::Label { zone, label } => write!(f, "label:{zone}:{label}"),
            Self::Created(at, row) | Self::LastUpdate(at, row) | Self::NextRenewal(at, row) => {
                write!(f, "{}:{at}:{row}", self.sort())
            }
        }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let wrong = || CursorError(text.chars().take(80).collect());
        if let Ok(username) = text.parse() {
            return Ok(Self::Username(username));
        }
        let parts: Vec<&str> = text.split(':').collect();
        let [sort, first, second] = parts[..] else { return Err(wrong()) };
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        match sort.parse().map_err(|_| wrong())? {
            AccountSort::Label if text.len() <= MAX_CURSOR => {
                Ok(Self::Label { zone: first.into(), label: second.into() })
            }
            AccountSort::Created => Ok(Self::Created(number(first)?, number(second)?)),
            AccountSort::LastUpdate => Ok(Self::LastUpdate(number(first)?, number(second)?)),
            AccountSort::NextRenewal => Ok(Self::NextRenewal(number(first)?, number(second)?)),
            AccountSort::Username | AccountSort::Label => Err(wrong()),
        }
    }
}

serde_as_text!(Cursor);

/// The part of a list that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    #[default]
    Start,
    After(Cursor),
    /// What ends right before the cursor.
    Before(Cursor),
}

/// A page of accounts to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountQuery {
    pub search: Option<SearchTerm>,
    pub state: Option<StateFilter>,
    /// Only accounts with a name in this zone.
    pub zone: Option<ZoneName>,
    /// Only active accounts that have not renewed in their usual time.
    pub is_overdue: bool,
    pub sort: AccountSort,
    pub order: Order,
    /// Has a cursor of `sort`.
    pub place: Place,
    /// The most accounts of the page.
    pub limit: usize,
}

impl AccountQuery {
    /// Every account, by username.
    pub fn all(limit: usize) -> Self {
        Self {
            search: None,
            state: None,
            zone: None,
            is_overdue: false,
            sort: AccountSort::Username,
            order: Order::Ascending,
            place: Place::Start,
            limit,
        }
    }

    /// What a term finds, by username.
    pub fn searching(term: SearchTerm, limit: usize) -> Self {
        Self { search: Some(term), ..Self::all(limit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back() {
        let username = Username::random();
        let cursors = [
            Cursor::Username(username),
            Cursor::Label { zone: "auth.test".into(), label: "@".into() },
            Cursor::Created(5, 7),
            Cursor::LastUpdate(0, i64::MAX),
            Cursor::NextRenewal(-5, 7),
        ];
        for cursor in cursors {
            assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        }
        for bad in [
            "",
            "x",
            "created:1",
            "created:1:x",
            "created:1:2:3",
            "username:a:b",
            "\0:1:2",
            "created:99999999999999999999:1",
        ] {
            let error = bad.parse::<Cursor>().unwrap_err().to_string();
            assert!(error.contains("leave it out"), "{bad}: {error}");
        }
        assert!(format!("label:{}:x", "a".repeat(600)).parse::<Cursor>().is_err());
    }

    #[test]
    fn a_wrong_word_is_told_the_right_ones() {
        let error = "newest".parse::<AccountSort>().unwrap_err().to_string();
        assert_eq!(error, "write one of username, label, created, last_update, next_renewal; found \"newest\"");
    }
}
