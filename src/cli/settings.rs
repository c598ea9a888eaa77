//! The formats of client settings as values of an option.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::api::client_settings::ClientFormat;

impl ValueEnum for ClientFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.title()))
    }
}
