//! Commands that the pages name, beside those that the program has.

use std::collections::HashMap;
use std::process::Command;

use crate::harness::process::BINARY;

/// What the program says of its commands; asked once for each.
#[derive(Default)]
pub struct Commands(HashMap<Vec<String>, String>);

impl Commands {
    fn help(&mut self, path: &[String]) -> &str {
        self.0.entry(path.to_vec()).or_insert_with(|| {
            let output = Command::new(BINARY).args(path).arg("--help").output().unwrap();
            assert!(output.status.success(), "{path:?}");
            String::from_utf8(output.stdout).unwrap()
        })
    }

    /// The names of the commands below one; none where it takes arguments instead.
    fn below(&mut self, path: &[String]) -> Vec<String> {
        let help = self.help(path);
        let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Vec::new() };
        let lines = rest.lines().take_while(|line| line.starts_with("  "));
        let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    }

    /// What is wrong with a command's words, those behind `txtgate`.
    pub fn problem(&mut self, words: &[&str]) -> Option<String> {
        let mut words = words.iter().copied().peekable();
        let mut path: Vec<String> = Vec::new();
        while matches!(words.peek(), Some(&("--config" | "-c"))) {
            words.next();
            words.next();
        }
        loop {
            let below = self.below(&path);
            let Some(word) = words.next_if(|word| !below.is_empty() && is_name(word)) else { break };
            if !below.iter().any(|name| name == word) {
                return Some(format!("there is no `txtgate {} {word}`; there are {below:?}", path.join(" ")));
            }
            path.push(word.to_owned());
        }
        let help = self.help(&path).to_owned();
        let flags = words.filter(|word| word.starts_with("--") && word.len() > 2).map(|word| word.split('=').next());
        let unknown = flags.flatten().find(|flag| !has_word(&help, flag));
        unknown.map(|flag| format!("`txtgate {}` has no {flag}", path.join(" ")))
    }
}

/// Whether a word is a command's name: neither a flag nor, in capitals, what stands for any.
fn is_name(word: &str) -> bool {
    !word.starts_with('-') && word.chars().any(|c| c.is_ascii_lowercase())
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|found| found == word)
}

/// The words behind each `txtgate` of a line of code, up to where the shell ends a command.
pub fn calls(line: &str) -> Vec<Vec<&str>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| words[before]);
        // `journalctl -u txtgate ...`, a container of that name, a format, and messages that speak of a txtgate.
        let is_called = word.trim_start_matches(['\'', '"', '(']) == "txtgate";
        let is_other = matches!(before, Some("-u" | "exec" | "another" | "a" | "import" | "--format"));
        if !is_called || is_other {
            continue;
        }
        let mut call = Vec::new();
        for word in &words[at + 1..] {
            if matches!(*word, "|" | "&&" | ";" | "--" | "#" | ">" | "<") {
                break;
            }
            let ends = word.ends_with(['\'', ';', ')', ',']);
            call.push(word.trim_end_matches(['\'', ';', ')', ',', '.']));
            if ends {
                break;
            }
        }
        found.push(call);
    }
    found
}
