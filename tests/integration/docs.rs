//! The documentation holds: links lead somewhere, and every command, key, path and metric that it names is there.

mod commands;
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use txtgate::config::Config;

use crate::harness::{Process, Settings, http};

use commands::{Commands, calls};
use markdown::{Page, root};

/// Lines that a newcomer should have to read.
const LONGEST_README: usize = 250;

/// All pages.
fn pages() -> Vec<Page> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let others = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/interop/README.md"];
    let mut paths: Vec<PathBuf> = docs.chain(others.map(PathBuf::from)).collect();
    paths.sort();
    paths.iter().map(|path| Page::read(path)).collect()
}

/// What is wrong with the links of one page, given all of them.
fn broken_links(page: &Page, all: &[Page]) -> Vec<String> {
    let mut broken = Vec::new();
    for link in page.links().into_iter().filter(|link| !link.contains("://")) {
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let path = if file.is_empty() { page.path.clone() } else { page.beside(file) };
        let target = all.iter().find(|page| page.path == path);
        if target.is_none() && !root().join(&path).exists() {
            broken.push(format!("{}: {link}: no such file", page.path.display()));
        } else if !anchor.is_empty()
            && !target.is_some_and(|target| target.anchors().iter().any(|found| found == anchor))
        {
            broken.push(format!("{}: {link}: no such heading", page.path.display()));
        }
    }
    broken
}

fn broken_quotes(page: &Page, all: &[Page]) -> Vec<String> {
    let quoted = page.quoted_headings().into_iter();
    let missing = quoted.filter(|(heading, path)| {
        let target = all.iter().find(|page| page.path == *path);
        !target.is_some_and(|target| target.headings().any(|found| found == heading))
    });
    missing.map(|(heading, path)| format!("{}: {path:?} has no heading {heading:?}", page.path.display())).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let pages = pages();
    let broken: Vec<String> = pages.iter().flat_map(|page| broken_links(page, &pages)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let links: usize = pages.iter().map(|page| page.links().len()).sum();
    assert!(links > 100, "{links} links");
}

#[test]
fn every_heading_that_is_named_in_quotes_is_there() {
    let pages = pages();
    let broken: Vec<String> = pages.iter().flat_map(|page| broken_quotes(page, &pages)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = Page::read(Path::new("README.md"));
    let lines = readme.text.lines().count();
    assert!(lines <= LONGEST_README, "{lines} lines");
    let links: BTreeSet<PathBuf> = readme.links().iter().map(PathBuf::from).collect();
    let pages = pages().into_iter().map(|page| page.path);
    let missing: Vec<PathBuf> = pages.filter(|path| path.starts_with("docs") && !links.contains(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// All files below a folder, or the file itself.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| files(&entry)).collect()
}

/// The pages below `docs/` that a text names.
fn named_pages(text: &str) -> BTreeSet<String> {
    let ends = text.match_indices("docs/").map(|(at, _)| &text[at..]);
    let paths = ends.map(|rest| {
        rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/')))
            .next()
            .unwrap_or_default()
            .trim_end_matches('.')
    });
    paths.filter(|path| path.ends_with(".md") || path.ends_with(".json")).map(str::to_owned).collect()
}

#[test]
fn pages_that_the_source_names_are_there() {
    let mut looked_at = 0;
    for top in ["src", "systemd", "config.toml", "bench", "benches", "tests/run", "Cargo.toml", ".ci"] {
        for file in files(&root().join(top)) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            for page in named_pages(&text) {
                assert!(root().join(&page).exists(), "{}: {page}", file.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 5, "{looked_at} references");
}

/// Files and folders of the repository that the pages name.
#[test]
fn paths_that_the_pages_name_are_there() {
    let tops = ["src/", "tests/", "docs/", "bench/", "benches/", "fuzz/", "systemd/"];
    let mut looked_at = 0;
    for page in pages() {
        for code in page.inline_code() {
            let path = code.split([' ', ':']).next().unwrap_or_default();
            if tops.iter().any(|top| path.starts_with(top)) && !path.contains(['*', '<', '{']) {
                assert!(root().join(path).exists(), "{}: {code}", page.path.display());
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 20, "{looked_at} paths");
}

/// Tests that the pages name as a proof, like `managed::renewal_revocation_and_deletion`.
#[test]
fn tests_that_the_pages_name_are_there() {
    let sources = files(&root().join("tests/integration"));
    let sources: Vec<String> = sources.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let page = Page::read(Path::new("docs/acme.md"));
    let named: Vec<String> = page.inline_code().filter(|code| code.contains("::")).collect();
    for code in &named {
        let name = code.rsplit("::").next().unwrap_or_default();
        assert!(sources.iter().any(|source| source.contains(&format!("fn {name}("))), "{code}");
    }
    assert!(named.len() > 5, "{named:?}");
}

#[test]
fn every_command_that_the_pages_name_is_one_of_the_program() {
    let mut commands = Commands::default();
    let mut problems = Vec::new();
    let mut looked_at = BTreeSet::new();
    for page in pages() {
        for line in page.code.iter().cloned().chain(page.inline_code()) {
            for call in calls(&line) {
                let problem = commands.problem(&call);
                problems.extend(problem.map(|problem| format!("{}: {line}: {problem}", page.path.display())));
                looked_at.insert(call.join(" "));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(looked_at.len() > 60, "{looked_at:?}");
}

/// The keys of `config.toml` by table, with the text of their defaults; `None` for those that are commented out.
fn keys() -> Vec<(String, String, Option<String>)> {
    let mut table = String::from("Top level");
    let mut found = Vec::new();
    let mut is_text = false;
    for line in include_str!("../../config.toml").lines() {
        let is_end = line.contains("\"\"\"");
        if is_text || is_end {
            is_text ^= is_end;
            continue;
        }
        let (code, is_off) = line.strip_prefix("# ").map_or((line, false), |code| (code, true));
        let code = code.split("  ").next().unwrap_or_default().trim();
        if code.starts_with('[') && code.ends_with(']') {
            table = format!("`{code}`");
        }
        let Some((key, default)) = code.split_once(" = ") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            found.push((table.clone(), key.to_owned(), (!is_off).then(|| default.to_owned())));
        }
    }
    found
}

/// The page's rows by heading.
fn rows(page: &Page) -> BTreeMap<String, Vec<String>> {
    let mut heading = String::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in page.prose.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.to_owned();
        } else if line.starts_with("| ") {
            found.entry(heading.clone()).or_default().push(line.to_owned());
        }
    }
    found
}

#[test]
fn every_key_of_the_configuration_is_explained_with_its_default() {
    let page = Page::read(Path::new("docs/configuration.md"));
    let (rows, keys) = (rows(&page), keys());
    for (table, key, default) in &keys {
        let rows = rows.get(table).unwrap_or_else(|| panic!("no section {table}"));
        let quoted = format!("`{key}`");
        let row = rows.iter().find(|row| row.split(" | ").next().is_some_and(|first| first.contains(&quoted)));
        let row = row.unwrap_or_else(|| panic!("{key} of {table} is not explained"));
        let default = default.as_deref().filter(|_| !row.contains("| required |"));
        assert!(default.is_none_or(|default| row.contains(&format!("| `{default}` |"))), "{default:?}: {row}");
    }
    assert!(keys.len() > 60, "{keys:?}");
}

/// A zone for examples that are about something else.
const SOME_ZONE: &str = "[[zone]]\nname = \"some.test\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

#[test]
fn examples_of_configurations_are_right() {
    let mut looked_at = 0;
    for page in pages() {
        for (_, example) in page.blocks.iter().filter(|(language, _)| language == "toml") {
            let example = example.replace("sha256:...", &format!("sha256:{}", "0".repeat(64)));
            let zone = if example.contains("[[zone]]") { "" } else { SOME_ZONE };
            let read = Config::parse(Path::new("/etc/txtgate/config.toml"), &format!("{example}{zone}"));
            assert!(read.is_ok(), "{}: {}\n{example}", page.path.display(), read.unwrap_err());
            looked_at += 1;
        }
    }
    assert!(looked_at >= 10, "{looked_at} examples");
}

/// Names of metrics and their types, as Prometheus is told them.
fn served_metrics() -> BTreeMap<String, String> {
    let daemon = Process::start(&Settings::default());
    let text = http::get(daemon.metrics(), "/metrics").body;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Those of the page; a row may have several names.
fn described_metrics() -> BTreeMap<String, String> {
    let page = Page::read(Path::new("docs/operations.md"));
    let table = page.prose.lines().filter(|line| line.starts_with("| `txtgate_"));
    let mut found = BTreeMap::new();
    for row in table {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        for name in cells[0].split('`').skip(1).step_by(2) {
            let name = name.split('{').next().unwrap_or_default();
            found.insert(name.to_owned(), cells[1].to_owned());
        }
    }
    found
}

#[test]
fn every_metric_is_described_with_its_type() {
    let (served, described) = (served_metrics(), described_metrics());
    for (name, kind) in &served {
        assert_eq!(described.get(name), Some(kind), "{name}");
    }
    assert!(served.len() > 10, "{served:?}");
    let source: String = files(&root().join("src")).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    for name in described.keys().filter(|name| !served.contains_key(*name)) {
        let short = name.trim_start_matches("txtgate_").trim_end_matches("_total");
        assert!(source.contains(&format!("\"{name}\"")) || source.contains(&format!("\"{short}\"")), "{name}");
    }
}

/// The checks themselves can fail.
#[test]
fn what_is_broken_is_seen() {
    let path = Path::new("docs/broken.md");
    let text = "# One `[two]`\n\n[a](setup.md) [b](no.md) [c](#one-two) [d](#three) [e](https://x.test/y)\n\
                See \"Three\" below, and \"One\" in setup.md.\n```sh\n[f](no.md)\nsudo txtgate status --jsn\n```\n";
    let page = Page::of(path, text);
    let all = [Page::read(Path::new("docs/setup.md")), Page::of(path, text)];
    let links = ["docs/broken.md: no.md: no such file", "docs/broken.md: #three: no such heading"];
    assert_eq!(broken_links(&page, &all), links);
    assert_eq!(broken_quotes(&page, &all).len(), 2);
    assert_eq!(
        named_pages("see docs/no.md. Or docs/acme.md, docs/"),
        ["docs/acme.md", "docs/no.md"].map(String::from).into()
    );
    let mut commands = Commands::default();
    let mut problem = |line: &str| calls(line).iter().find_map(|call| commands.problem(call));
    assert!(problem(&page.code[3]).is_some_and(|problem| problem.contains("--jsn")), "{:?}", page.code);
    assert!(problem("--hook 'txtgate hok'").is_some_and(|problem| problem.contains("hok")));
    assert!(problem("txtgate account creat example.com").is_some());
    assert_eq!(problem("sudo txtgate -c FILE account create example.com --format lego | tee x"), None);
    assert_eq!(problem("journalctl -u txtgate --since -1h"), None);
}
