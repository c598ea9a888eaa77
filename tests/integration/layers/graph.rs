//! The files of `src`, and which of them import which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{Import, Path, imports};

/// Re-exports of re-exports, beyond which something is wrong.
const MAX_REEXPORTS: usize = 8;

/// Each file, as the module that it is, with what it imports. The crate's root is the empty path.
pub struct Graph {
    files: BTreeMap<Path, Vec<Import>>,
}

impl Graph {
    /// Reads the texts of all files of a crate.
    pub fn new(texts: &BTreeMap<Path, String>) -> Self {
        let mut children: BTreeMap<&[String], BTreeSet<String>> = BTreeMap::new();
        for module in texts.keys() {
            if let Some((name, parent)) = module.split_last() {
                children.entry(parent).or_default().insert(name.clone());
            }
        }
        let mut files = BTreeMap::new();
        for (module, text) in texts {
            let own = children.remove(module.as_slice()).unwrap_or_default();
            files.insert(module.clone(), imports(module, &own, text));
        }
        Self { files }
    }

    pub fn files(&self) -> impl Iterator<Item = (&Path, &Vec<Import>)> {
        self.files.iter()
    }

    /// The file in which the item of a path stands, with re-exports followed.
    fn file_of(&self, path: &[String]) -> Option<&Path> {
        let mut path = path.to_vec();
        for _ in 0..MAX_REEXPORTS {
            let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
            let (file, imports) = self.files.get_key_value(&path[..length])?;
            let Some(name) = path.get(length).filter(|name| *name != "*") else { return Some(file) };
            let reexport = imports.iter().find(|import| import.reexported_as.as_ref() == Some(name));
            let Some(reexport) = reexport else { return Some(file) };
            path = [&reexport.path, &path[length + 1..]].concat();
        }
        panic!("a circle of re-exports at {}", path.join("::"));
    }

    /// The files that a file imports from. Its re-exports are not imports, and the crate's root is only a list of modules.
    fn imported_by(&self, file: &Path) -> BTreeSet<&Path> {
        let own = self.files[file].iter().filter(|import| import.reexported_as.is_none());
        let targets = own.filter_map(|import| self.file_of(&import.path));
        targets.filter(|target| *target != file && !target.is_empty()).collect()
    }

    /// For each file that imports itself by way of others: the shortest such way, from the file and back to it.
    pub fn cycles(&self) -> BTreeMap<Path, Vec<Path>> {
        let edges: BTreeMap<&Path, BTreeSet<&Path>> =
            self.files.keys().map(|file| (file, self.imported_by(file))).collect();
        self.files.keys().filter_map(|file| Some((file.clone(), way_back(&edges, file)?))).collect()
    }
}

/// A way from file to file, for people.
pub fn written(way: &[Path]) -> String {
    way.iter().map(|file| file.join("::")).collect::<Vec<_>>().join(" > ")
}

fn way_back(edges: &BTreeMap<&Path, BTreeSet<&Path>>, start: &Path) -> Option<Vec<Path>> {
    let mut reached = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start]]);
    while let Some(way) = ways.pop_front() {
        for next in &edges[way[way.len() - 1]] {
            let longer = [&way[..], &[*next]].concat();
            if *next == start {
                return Some(longer.into_iter().cloned().collect());
            }
            if reached.insert(*next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// The cycles of a tree made of these files, as `a > b > a`.
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let mut texts = BTreeMap::new();
    for (name, text) in files {
        let module: Path = name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        texts.insert(module, (*text).to_owned());
    }
    Graph::new(&texts).cycles().values().map(|way| written(way)).collect()
}

#[test]
fn a_tree_without_a_cycle_has_none() {
    let files = [
        ("", "pub mod p; pub mod q; use crate::p::A;"),
        ("p", "mod a; mod b; pub use a::A; pub(crate) use b::{B as C};"),
        ("p::a", "use super::b::B; use crate::q::Q; use crate::A;"),
        ("p::b", "struct B; mod tests { use super::super::A; }"),
        ("q", "struct Q;"),
    ];
    assert_eq!(cycles(&files), [""; 0], "the parent's re-exports are not imports");
}

#[test]
fn cycles_are_found_by_every_kind_of_path() {
    let back = ["use super::a::A;", "use super::{a::{self, A}};", "use super::A;", "use crate::p::{A};"];
    let code = ["fn f(a: super::a::A) {}", "fn f() { g(crate::p::A) }"];
    for text in back.into_iter().chain(code) {
        let files = [
            ("", "pub mod p;"),
            ("p", "mod a; mod b; pub use a::A;"),
            ("p::a", "use super::b::B; struct A;"),
            ("p::b", text),
        ];
        assert_eq!(cycles(&files), ["p::a > p::b > p::a", "p::b > p::a > p::b"], "{text}");
    }
}

#[test]
fn a_parent_that_uses_its_child_is_in_a_cycle_with_it() {
    let files = [("", ""), ("p", "mod a; fn f() { a::A }"), ("p::a", "use super::*; struct A;")];
    assert_eq!(cycles(&files), ["p > p::a > p", "p::a > p > p::a"]);
}

#[test]
fn a_long_way_round_is_found_and_its_neighbours_are_not() {
    let files = [
        ("", ""),
        ("a", "use crate::b::B; use crate::tail::T;"),
        ("b", "use crate::front::C;"),
        ("front", "mod c; pub use self::c::C;"),
        ("front::c", "use crate::a::A;"),
        ("tail", "struct T;"),
        ("head", "use crate::a::A;"),
    ];
    assert_eq!(cycles(&files), ["a > b > front::c > a", "b > front::c > a > b", "front::c > a > b > front::c"]);
}
