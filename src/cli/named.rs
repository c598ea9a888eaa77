//! Lists of what is published at names.

use crate::api::types::list::List;
use crate::api::types::values::{NamedPersistent, NamedValue};

use super::operator::encoded;
use super::table::{cell, table};

/// The path of a list, of one name or of all.
pub fn list_path(path: &str, name: Option<String>) -> String {
    match name {
        Some(name) => format!("{path}?name={}", encoded(&name)),
        None => path.to_owned(),
    }
}

/// An item with four columns: the name, what is published there, since when and until when.
pub trait NamedItem {
    /// The cells of its row.
    fn cells(&self) -> Vec<String>;
}

impl NamedItem for NamedValue {
    fn cells(&self) -> Vec<String> {
        let Self { name, value } = self;
        vec![cell(name), cell(&value.txt), cell(&value.published), cell(&value.expires)]
    }
}

impl NamedItem for NamedPersistent {
    fn cells(&self) -> Vec<String> {
        let Self { name, value } = self;
        vec![cell(name), cell(&value.value), cell(&value.published), cell(&value.expires)]
    }
}

/// A list as a table.
pub fn list_table<T: NamedItem>(list: &List<T>, columns: [&str; 4]) -> String {
    let rows: Vec<Vec<String>> = list.items.iter().map(NamedItem::cells).collect();
    let more = if list.truncated { "\n(the list goes on; give a name to see all of its values)" } else { "" };
    table(&columns, &rows) + more
}
