//! The dashboard and the alert rules of `contrib/`: they name what the daemon serves, and Prometheus' own tool accepts them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::http::{get, post};
use crate::harness::{Process, Settings};

const DASHBOARD: &str = "contrib/grafana/txtgate.json";
const ALERTS: &str = "contrib/prometheus/alerts.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The names of our series in a query.
fn series(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("txtgate_"))
}

/// The names of all series, from the page that describes each metric and that another test holds equal to the daemon.
fn described() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for row in read("docs/operations.md").lines().filter(|line| line.starts_with("| `txtgate_")) {
        let (cells, is_histogram) = (row.split(" | ").next().unwrap_or_default(), row.contains(" | histogram | "));
        for name in series(cells) {
            let parts = if is_histogram { &["_bucket", "_sum", "_count"][..] } else { &[""] };
            names.extend(parts.iter().map(|part| format!("{name}{part}")));
        }
    }
    assert!(names.len() > 30, "{names:?}");
    names
}

/// The values of a key, wherever it is.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_alerts_name_series_that_exist() {
    let described = described();
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut queries = Vec::new();
    all(&dashboard, "expr", &mut queries);
    assert!(queries.len() > 20, "{queries:?}");
    let alerts = read(ALERTS);
    queries.extend(alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")));
    for query in &queries {
        for name in series(query) {
            assert!(described.contains(name), "{name} in {query}");
        }
    }
}

#[test]
fn every_alert_is_explained() {
    let page = read("docs/operations.md");
    let explained: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `Txtgate")?.split('`').next()).collect();
    let alerts = read(ALERTS);
    let raised: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: Txtgate")).collect();
    assert!(raised.len() > 10, "{raised:?}");
    assert_eq!(raised, explained);
}

fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.current_dir(root().join("contrib/prometheus")).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: promtool is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules_and_what_the_daemon_serves() {
    let daemon = Process::start(&Settings::default());
    assert_eq!(post(daemon.api(), "/register", &[], "").status, 201);
    let served = get(daemon.metrics(), "/metrics").body;
    for arguments in
        [&["check", "rules", "alerts.yml"][..], &["test", "rules", "alerts_test.yml"], &["check", "metrics"]]
    {
        let Some(output) = promtool(arguments, &served) else { return };
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success() && !said.contains("should"), "{arguments:?}: {said}");
    }
}
