//! Values that JSON and TOML contain as text: `Display` writes it, and `FromStr` reads it.

/// Implements `Serialize` by `Display`, and `Deserialize` by `FromStr`.
macro_rules! serde_as_text {
    ($($value:ty),+) => {$(
        impl serde::Serialize for $value {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $value {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

pub(crate) use serde_as_text;

/// What another program has printed, as a part of one line: line ends as ` | `, other control characters as `?`.
pub fn one_line(text: &str) -> String {
    let lines = text.trim().lines().map(|line| line.trim_end().replace(char::is_control, "?"));
    lines.collect::<Vec<_>>().join(" | ")
}

/// Items of a list with commas between them.
pub fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_one_line_without_control_characters() {
        assert_eq!(one_line("reloaded\n\u{1b}[31mfailed\tx\r\n"), "reloaded | ?[31mfailed?x");
        assert_eq!((one_line(" \n"), listed([1, 2])), (String::new(), "1, 2".to_owned()));
    }
}
