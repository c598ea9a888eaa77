//! `txtgate doctor`: broken set-ups and the first finding that each must have, sound ones without any.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::harness::lab::Lab;
use crate::harness::{Home, Process};

mod delegation;
mod machine;
mod names;
mod surface;
mod vantage;

/// What the doctor says of a set-up.
pub struct Examined {
    pub report: Value,
    pub code: Option<i32>,
}

#[allow(dead_code)]
impl Examined {
    /// Runs `doctor --json` with more arguments.
    pub fn by(home: &Home, arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["doctor", "--json"].into_iter().chain(arguments.iter().copied()).collect();
        Self::of(&home.run(&all))
    }

    /// The same in a lab.
    pub fn in_lab(daemon: &Process, lab: &Lab, names: &[&str]) -> Self {
        let hints = lab.hints();
        let all: Vec<&str> = ["--hints", &hints].into_iter().chain(names.iter().copied()).collect();
        Self::by(daemon.home(), &all)
    }

    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let report = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        Self { report, code: output.status.code() }
    }

    /// All findings.
    pub fn findings(&self) -> Vec<&Value> {
        let checks = self.report["checks"].as_array().unwrap();
        let all = checks.iter().flat_map(|check| check["findings"].as_array().unwrap());
        all.filter(|finding| !finding["code"].is_null()).collect()
    }

    /// The finding with a code.
    pub fn finding(&self, code: &str) -> &Value {
        let found = self.findings().into_iter().find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} in {:#}", self.report["checks"]))
    }

    /// Whether there is a finding with a code.
    pub fn has(&self, code: &str) -> bool {
        self.findings().iter().any(|finding| finding["code"] == code)
    }

    /// Fails unless the root cause has this code, and its text has this part: what is wrong, or what to do.
    pub fn begins_with(&self, code: &str, part: &str) {
        assert_eq!(self.report["first"], code, "{:#}", Value::from_iter(self.findings().into_iter().cloned()));
        let finding = self.finding(code);
        assert!(finding.to_string().contains(part), "no {part:?} in {finding:#}");
        assert_eq!(self.code, Some(1));
        assert!(!finding["mend"].as_str().unwrap().is_empty(), "{finding:#}");
        self.is_quick();
    }

    /// Fails if anything is wrong.
    pub fn is_sound(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "{:#}", Value::from_iter(findings.into_iter().cloned()));
        assert_eq!((&self.report["first"], self.code), (&Value::Null, Some(0)));
        self.is_quick();
    }

    /// No check may run into the limit of the whole examination.
    fn is_quick(&self) {
        assert!(!self.has("check-unfinished"), "{:#}", self.finding("check-unfinished"));
        let took = Duration::from_millis(self.report["milliseconds"].as_u64().unwrap());
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
}
