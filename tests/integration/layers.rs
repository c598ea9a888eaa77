//! The arrows of the architecture: imports go downwards only, by the table in the library's own documentation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules by name, with their layers.
type Layers = BTreeMap<String, u32>;

/// Layer of the words, which may use each other.
const WORDS: u32 = 0;

/// Imports that still break the rule. The list only ever gets shorter.
const STILL_UPWARDS: [&str; 10] = [
    "acme::error imports delegation",
    "acme::error imports publisher",
    "delegation::caa imports acme",
    "delegation::challenge_target imports acme",
    "delegation::challenge_target imports publisher",
    "delegation::nameservers imports acme",
    "delegation::nameservers imports publisher",
    "delegation::persist imports acme",
    "delegation::persist imports publisher",
    "dns::tests::updates imports api",
];

/// The rows `//! | 5 | [`dns`], [`api`] | ... |`.
fn table(documentation: &str) -> Layers {
    let mut layers = Layers::new();
    for line in documentation.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = line.split(" | ");
        let Some(Ok(layer)) = cells.next().map(str::parse) else { continue };
        let names = cells.next().unwrap_or_default().split(", ");
        layers.extend(names.map(|name| (name.trim_matches(|c| "[]`".contains(c)).to_owned(), layer)));
    }
    layers
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn library() -> String {
    std::fs::read_to_string(source().join("lib.rs")).unwrap()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Where a file stands in the tree of modules: `api/admin/txt.rs` is `["api", "admin", "txt"]`.
fn module(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source()).unwrap().with_extension("");
    relative.iter().map(|part| part.to_string_lossy().into_owned()).collect()
}

/// The code without comments and without the tests at a file's end, which stand one module deeper.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The top modules that code at `module` names, by `crate::` or by enough `super::`.
fn named(module: &[String], code: &str) -> Vec<String> {
    let root = "super::".repeat(module.len());
    let mut found = Vec::new();
    for prefix in ["crate::", &root] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            // A longer chain of supers was counted at its own beginning; `$crate::` and words are something else.
            if before == ':' || before == '_' || before.is_alphanumeric() {
                continue;
            }
            found.extend(first_names(&code[at + prefix.len()..]));
        }
    }
    found
}

/// The first segment of a path, or of each path in braces.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut is_start) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if c.is_alphabetic() && is_start => {
                names.push(name(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

/// What code may not import: upwards, or sideways.
fn violations(layers: &Layers, module: &[String], code: &str) -> Vec<String> {
    let own = &module[0];
    let layer = layers[own];
    let is_wrong = |name: &String| {
        let Some(&other) = layers.get(name) else { return false };
        name != own && (other > layer || (other == layer && layer != WORDS))
    };
    named(module, code).into_iter().filter(is_wrong).collect()
}

#[test]
fn every_module_stands_in_the_table() {
    let library = library();
    let declared: Vec<String> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")))
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect();
    let mut sorted = declared.clone();
    sorted.sort_unstable();
    assert_eq!(table(&library).into_keys().collect::<Vec<_>>(), sorted);
    assert!(declared.len() > 15, "{declared:?}");
}

#[test]
fn imports_go_downwards_only() {
    let layers = table(&library());
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for file in files(&source()) {
        let module = module(&file);
        if module == ["lib"] || module == ["main"] {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let found = violations(&layers, &module, &code(&text));
        wrong.extend(found.into_iter().map(|name| format!("{} imports {name}", module.join("::"))));
        looked_at += 1;
    }
    assert!(looked_at > 50, "{looked_at} files");
    wrong.sort_unstable();
    wrong.dedup();
    assert_eq!(wrong, STILL_UPWARDS, "new ones are wrong, and one that is gone leaves the list");
}

#[test]
fn the_binary_knows_the_command_line_alone() {
    let main = std::fs::read_to_string(source().join("main.rs")).unwrap();
    let uses: Vec<&str> = main.lines().filter(|line| line.contains("txtgate::")).collect();
    assert!(uses.iter().all(|line| line.starts_with("use txtgate::cli::")) && uses.len() == 1, "{uses:?}");
}

/// SQLite has one house. Tests may look into a file from outside.
#[test]
fn only_the_store_names_rusqlite() {
    let may = |file: &PathBuf| module(file)[0] == "store" || module(file).contains(&"tests".to_owned());
    for file in files(&source()).into_iter().filter(|file| !may(file)) {
        let text = code(&std::fs::read_to_string(&file).unwrap());
        assert!(!text.contains("rusqlite"), "{}", file.display());
    }
}

/// The check itself can fail.
#[test]
fn arrows_upwards_and_sideways_are_seen() {
    let layers = table(&library());
    let of = |module: &[&str], code: &str| {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        violations(&layers, &module, code)
    };
    assert_eq!(of(&["dns"], "use crate::api::Peer;"), ["api"]);
    assert_eq!(of(&["api", "admin"], "use super::super::daemon::Services;"), ["daemon"]);
    assert_eq!(of(&["zone", "live"], "fn f() -> crate::store::Rows { }"), ["store"]);
    assert_eq!(of(&["net"], "use crate::{model::Name, zone::{live, soa}, file};"), ["zone"]);
    assert_eq!(of(&["model"], "use super::publisher::Publisher;"), ["publisher"]);
    assert_eq!(of(&["model"], "use crate::file::replace;"), [""; 0], "words may use each other");
    assert_eq!(of(&["api", "admin"], "use super::metrics; use crate::publisher::Publisher;"), [""; 0]);
    assert_eq!(code("use a; // crate::api\n#[cfg(test)]\nmod tests {\nuse crate::api;"), "use a; ");
}
