//! The arrows of the architecture: imports go downwards only, by the table in the library's own documentation, and no
//! file imports itself by way of others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use graph::{Graph, written};
use imports::Import;

mod graph;
mod imports;

/// Modules by name, with their layers.
type Layers = BTreeMap<String, u32>;

/// Layer of the values, which may use each other.
const VALUES: u32 = 0;

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

/// All Rust files below a folder; the console's assets are beside them.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// Where a file stands in the tree of modules: `api/admin/txt.rs` is `["api", "admin", "txt"]`, and `lib.rs` the root.
fn module(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source()).unwrap().with_extension("");
    let names: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if names == ["lib"] { Vec::new() } else { names }
}

/// The texts of the library's files.
fn texts() -> BTreeMap<Vec<String>, String> {
    let read = |file: PathBuf| (module(&file), std::fs::read_to_string(&file).unwrap());
    files(&source()).into_iter().filter(|file| !file.ends_with("src/main.rs")).map(read).collect()
}

fn is_test(module: &[String]) -> bool {
    module.iter().any(|name| name == "tests")
}

/// The modules of the table that a file may not import, and does: upwards, or sideways.
fn violations(layers: &Layers, module: &[String], imports: &[Import]) -> Vec<String> {
    let Some(own) = module.first() else { return Vec::new() };
    let layer = layers[own];
    let mut wrong = Vec::new();
    for name in imports.iter().filter_map(|import| import.path.first()) {
        let Some(&other) = layers.get(name) else { continue };
        if name != own && (other > layer || (other == layer && layer != VALUES)) {
            wrong.push(name.clone());
        }
    }
    wrong.sort_unstable();
    wrong.dedup();
    wrong
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
    let graph = Graph::new(&texts());
    let mut wrong = Vec::new();
    for (module, imports) in graph.files() {
        let found = violations(&layers, module, imports);
        wrong.extend(found.into_iter().map(|name| format!("{} imports {name}", module.join("::"))));
    }
    assert!(graph.files().count() > 50);
    assert!(wrong.is_empty(), "a module imports lower layers only: {wrong:?}");
}

/// A reader of one file should need none that needs the first again. Tests may use each other as they like.
#[test]
fn no_file_imports_itself_by_way_of_others() {
    let mut texts = texts();
    texts.retain(|module, _| !is_test(module));
    let cycles = Graph::new(&texts).cycles();
    let ways: String = cycles.values().map(|way| format!("\n{}", written(way))).collect();
    assert!(ways.is_empty(), "move what both files need into a third:{ways}");
}

/// With `pub use a::*` nobody sees in which file an item stands, this check included.
#[test]
fn reexports_name_their_items() {
    for (module, imports) in Graph::new(&texts()).files() {
        let is_glob = |import: &Import| import.reexported_as.as_deref() == Some("*");
        assert!(is_test(module) || !imports.iter().any(is_glob), "{}", module.join("::"));
    }
}

#[test]
fn the_binary_knows_the_command_line_alone() {
    let main = std::fs::read_to_string(source().join("main.rs")).unwrap();
    let uses: Vec<&str> = main.lines().filter(|line| line.contains("txtgate::")).collect();
    assert!(uses.iter().all(|line| line.starts_with("use txtgate::cli::")) && uses.len() == 1, "{uses:?}");
}

/// Tests may look into a database's file from outside.
#[test]
fn only_the_store_names_rusqlite() {
    for (module, text) in texts().into_iter().filter(|(module, _)| !is_test(module)) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let names_it = code.lines().any(|line| line.split("//").next().is_some_and(|code| code.contains("rusqlite")));
        assert!(!names_it || module.first().is_some_and(|top| top == "store"), "{}", module.join("::"));
    }
}

/// The check itself can fail.
#[test]
fn arrows_upwards_and_sideways_are_seen() {
    let layers = table(&library());
    let of = |module: &[&str], code: &str| {
        let module: Vec<String> = module.iter().map(ToString::to_string).collect();
        let imports = imports::imports(&module, &["dns".to_owned()].into(), code);
        violations(&layers, &module, &imports)
    };
    assert_eq!(of(&["dns"], "use crate::api::Peer;"), ["api"]);
    assert_eq!(of(&["api", "admin"], "use super::super::daemon::Services;"), ["daemon"]);
    assert_eq!(of(&["zone", "live"], "fn f() -> crate::store::Rows { }"), ["store"]);
    assert_eq!(of(&["net"], "use crate::{model::Name, zone::{live, soa}, file};"), ["zone"]);
    assert_eq!(of(&["net"], "pub use crate::zone::Zone; use dns::Client;"), ["zone"], "its own dns is not the crate's");
    assert_eq!(of(&["model"], "use super::publisher::Publisher;"), ["publisher"]);
    assert_eq!(of(&["model"], "use crate::file::replace;"), [""; 0], "values may use each other");
    assert_eq!(of(&["api", "admin"], "use super::metrics; use crate::publisher::Publisher;"), [""; 0]);
}
