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

/// The first `most` items of a list, and how many more there are.
pub fn listed_at_most<T: std::fmt::Display>(items: impl ExactSizeIterator<Item = T>, most: usize) -> String {
    let more = items.len().saturating_sub(most);
    let first = listed(items.take(most));
    if more == 0 { first } else { format!("{first}, and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_one_line_without_control_characters() {
        assert_eq!(one_line("reloaded\n\u{1b}[31mfailed\tx\r\n"), "reloaded | ?[31mfailed?x");
        assert_eq!((one_line(" \n"), listed([1, 2])), (String::new(), "1, 2".to_owned()));
    }

    #[test]
    fn a_long_list_ends_with_how_many_more_there_are() {
        assert_eq!(listed_at_most([1, 2].iter(), 2), "1, 2");
        assert_eq!(listed_at_most([1, 2, 3, 4].iter(), 2), "1, 2, and 2 more");
        assert_eq!(listed_at_most([0; 0].iter(), 2), "");
    }
}
