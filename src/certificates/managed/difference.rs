//! How a request for a certificate differs from the one that it replaces.

use serde_json::{Map, Value};

use crate::config::file;
use crate::model::identifier::Identifier;

/// The keys that belong to a hook, and go with it.
const OF_HOOK: [&str; 3] = ["hook-user", "hook-group", "hook-timeout"];

/// The difference between two requests for one certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestDifference {
    /// Names and settings, one a line.
    pub lines: Vec<String>,
    /// Whether the new request lacks a name or a setting of the former one. Somebody may just have forgotten it.
    pub is_loss: bool,
}

impl RequestDifference {
    /// Compares two requests.
    pub fn between(former: &file::Certificate, new: &file::Certificate) -> Self {
        let mut difference = Self::default();
        difference.compare_names(&plain(&former.names), &plain(&new.names));
        difference.compare_settings(&settings(former), &settings(new), !new.hook.is_empty());
        difference
    }

    /// Compares names.
    pub fn of_names(former: &[String], new: &[String]) -> Self {
        let mut difference = Self::default();
        difference.compare_names(former, new);
        difference
    }

    fn compare_names(&mut self, former: &[String], new: &[String]) {
        for lost in former.iter().filter(|name| !new.contains(name)) {
            self.lines.push(format!("- {lost}"));
            self.is_loss = true;
        }
        self.lines.extend(new.iter().filter(|name| !former.contains(name)).map(|name| format!("+ {name}")));
    }

    fn compare_settings(&mut self, former: &Map<String, Value>, new: &Map<String, Value>, has_hook: bool) {
        let defaults = settings(&file::Certificate::of_names(Vec::new()));
        for (key, value) in new {
            let before = &former[key];
            if before == value {
                continue;
            }
            self.lines.push(format!("{key}: {} becomes {}", shown(before), shown(value)));
            let goes_with_hook = has_hook && OF_HOOK.contains(&key.as_str());
            self.is_loss |= *value == defaults[key] && !goes_with_hook;
        }
    }
}

/// Names as certificates have them: no two spellings of one.
fn plain(names: &[String]) -> Vec<String> {
    let spelled = |name: &String| name.parse::<Identifier>().map_or_else(|_| name.clone(), |name| name.to_string());
    names.iter().map(spelled).collect()
}

/// All keys but the names. Each key is there, with `null` for one that is not set.
fn settings(request: &file::Certificate) -> Map<String, Value> {
    // invariant: a request is a table with text keys
    let mut all = serde_json::to_value(request).ok().and_then(|all| all.as_object().cloned()).unwrap_or_default();
    all.retain(|key, _| key != "name" && key != "names");
    all
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(words) if words.is_empty() => "nothing".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(former: &str, new: &str) -> (Vec<String>, bool) {
        let request = |text: &str| toml::from_str(text).unwrap();
        let RequestDifference { lines, is_loss } = RequestDifference::between(&request(former), &request(new));
        (lines, is_loss)
    }

    #[test]
    fn a_name_or_a_setting_that_is_left_out_is_a_loss_and_one_that_is_added_is_none() {
        let both = "names = [\"a.test\", \"*.a.test\"]";
        assert_eq!(difference(both, "names = [\"*.A.test\", \"a.test\"]\nname = \"a.test\""), (vec![], false));
        assert_eq!(difference(both, "names = [\"a.test\"]"), (vec!["- *.a.test".into()], true));
        assert_eq!(difference("names = [\"a.test\"]", both), (vec!["+ *.a.test".into()], false));
        let hooked = format!("{both}\nhook = [\"/x\", \"y\"]\nhook-timeout = \"5s\"");
        let (lines, is_loss) = difference(&hooked, both);
        assert!(is_loss && lines.contains(&"hook: [\"/x\",\"y\"] becomes nothing".to_owned()), "{lines:?}");
        let (lines, is_loss) = difference(&hooked, &format!("{both}\nhook = [\"/z\"]"));
        assert!(!is_loss && lines.contains(&"hook-timeout: \"5s\" becomes \"60s\"".to_owned()), "{lines:?}");
        let (lines, is_loss) = difference(both, &format!("{both}\nmode = \"0640\"\nkey-type = \"p384\""));
        assert!(
            !is_loss && lines.len() == 2 && lines.contains(&"mode: \"0600\" becomes \"0640\"".to_owned()),
            "{lines:?}"
        );
        assert!(difference(&format!("{both}\nmode = \"0640\""), both).1);
        assert!(!difference(&format!("{both}\nmode = \"0640\""), &format!("{both}\nmode = \"0440\"")).1);
    }
}
