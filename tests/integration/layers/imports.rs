//! What one file of Rust imports: the trees of its `use` items, and the paths in its code.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The names from the crate's root to a module or an item: `crate::api::admin` is `["api", "admin"]`.
pub type Path = Vec<String>;

/// A path of this crate that a file names.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Path,
    /// The name by which `pub use` offers the item in turn.
    pub reexported_as: Option<String>,
}

/// Reads `text`, the file of `module`. The names in `children` are the module's own child modules. The tests at a file's
/// end stand one module deeper, and do not count.
pub fn imports(module: &[String], children: &BTreeSet<String>, text: &str) -> Vec<Import> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
    let mut found = Vec::new();
    read(&Scope { module, children }, tokens, &mut found);
    found
}

/// What relative paths start from.
struct Scope<'a> {
    module: &'a [String],
    children: &'a BTreeSet<String>,
}

impl Scope<'_> {
    /// The path from the crate's root, unless the path leads to another crate or begins with a name in scope.
    fn absolute(&self, path: &[String]) -> Option<Path> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        let (start, rest) = match path.first()?.as_str() {
            "crate" => (&[][..], &path[1..]),
            "self" => (self.module, &path[1..]),
            "super" => (&self.module[..self.module.len().checked_sub(supers)?], &path[supers..]),
            child if self.children.contains(child) => (self.module, path),
            _ => return None,
        };
        Some([start, rest].concat())
    }
}

fn read(scope: &Scope<'_>, tokens: TokenStream, found: &mut Vec<Import>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let after = &tokens[at + 1..];
        at += 1;
        match token {
            TokenTree::Group(group) => read(scope, group.stream(), found),
            TokenTree::Ident(word)
                if word == "use" && !matches!(after.first(), Some(TokenTree::Punct(p)) if p.as_char() == '<') =>
            {
                let length =
                    after.iter().position(|token| is_punct(token, ';')).expect("a `use` ends with a semicolon");
                let is_public = is_public(&tokens[..at - 1]);
                read_use(scope, is_public, &after[..length], found);
                at += length + 1;
            }
            TokenTree::Ident(word) if word == "mod" => at += read_mod(scope, after, found),
            TokenTree::Ident(_) if !continues(&tokens[..at - 1]) => {
                let (path, length) = path_at(&tokens[at - 1..]);
                if path.len() > 1
                    && let Some(path) = scope.absolute(&path)
                {
                    found.push(Import { path, reexported_as: None });
                }
                at += length - 1;
            }
            _ => {}
        }
    }
}

/// A module within the file, after the word `mod`. Returns how many tokens it takes.
fn read_mod(scope: &Scope<'_>, after: &[TokenTree], found: &mut Vec<Import>) -> usize {
    let [TokenTree::Ident(name), TokenTree::Group(body), ..] = after else { return 0 };
    if name != "tests" {
        let module = [scope.module, &[name.to_string()]].concat();
        read(&Scope { module: &module, children: &BTreeSet::new() }, body.stream(), found);
    }
    2
}

/// The tree of one `use` item.
fn read_use(scope: &Scope<'_>, is_public: bool, tree: &[TokenTree], found: &mut Vec<Import>) {
    for mut path in leaves(&[], tree) {
        let alias = match path.iter().position(|name| name == "as") {
            Some(at) => path.split_off(at).pop(),
            None => None,
        };
        if path.last().is_some_and(|name| name == "self") && path.len() > 1 {
            path.pop();
        }
        let name = alias.or_else(|| path.last().cloned());
        if let Some(path) = scope.absolute(&path) {
            found.push(Import { path, reexported_as: name.filter(|_| is_public) });
        }
    }
}

/// Each path of a `use` tree, written out. A renamed one ends with `as` and the new name, a glob with `*`.
fn leaves(prefix: &[String], tree: &[TokenTree]) -> Vec<Path> {
    let mut all = Vec::new();
    for branch in tree.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
        let mut path = prefix.to_vec();
        let mut group = None;
        for token in branch {
            match token {
                TokenTree::Ident(name) => path.push(name.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Group(inner) => group = Some(inner.stream()),
                _ => {}
            }
        }
        match group {
            Some(inner) => all.extend(leaves(&path, &inner.into_iter().collect::<Vec<_>>())),
            None => all.push(path),
        }
    }
    all
}

/// Whether `pub` or `pub(..)` stands before an item.
fn is_public(before: &[TokenTree]) -> bool {
    let before = match before {
        [rest @ .., TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => rest,
        _ => before,
    };
    matches!(before.last(), Some(TokenTree::Ident(word)) if word == "pub")
}

/// Whether a name continues what stands before: a path that began elsewhere, a field or method, `$crate`.
fn continues(before: &[TokenTree]) -> bool {
    match before {
        // `a: B` is a type and not a path's continuation.
        [.., one, two] if is_punct(two, ':') => is_punct(one, ':'),
        // `1..child::N` is a range and not a field.
        [.., one, two] if is_punct(two, '.') => !is_punct(one, '.'),
        [.., last] => is_punct(last, '.') || is_punct(last, '$'),
        [] => false,
    }
}

/// The path that begins with the first token, and the number of its tokens.
fn path_at(tokens: &[TokenTree]) -> (Path, usize) {
    let mut path = vec![tokens[0].to_string()];
    let mut rest = &tokens[1..];
    while let [one, two, TokenTree::Ident(name), after @ ..] = rest
        && is_punct(one, ':')
        && is_punct(two, ':')
    {
        path.push(name.to_string());
        rest = after;
    }
    let length = tokens.len() - rest.len();
    (path, length)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// The imports of a text, as `a::b`, or `a::b as c` where `pub use` offers them.
fn written(module: &str, text: &str) -> Vec<String> {
    let module: Path = module.split("::").map(str::to_owned).collect();
    let mut all = Vec::new();
    for import in imports(&module, &["child".to_owned()].into(), text) {
        let path = import.path.join("::");
        all.push(import.reexported_as.map_or(path.clone(), |name| format!("{path} as {name}")));
    }
    all
}

#[test]
fn use_trees_are_written_out() {
    let text = "use crate::{model::{Name, self}, zone::*, net::tls::{self as t, Files}}; use std::fmt;";
    let all = ["model::Name", "model", "zone::*", "net::tls", "net::tls::Files"];
    assert_eq!(written("api::http", text), all);
    assert_eq!(
        written("api::http", "use super::super::daemon::{Core, super_name};"),
        ["daemon::Core", "daemon::super_name"]
    );
    assert_eq!(written("api::http", "use self::child::X; use child::{Y, deep::Z};").len(), 3);
    assert_eq!(written("api::http", "use super::body;"), ["api::body"]);
}

#[test]
fn public_uses_offer_a_name() {
    let text =
        "pub use child::{X, Y as Z}; pub(crate) use crate::net::tls; use child::A; pub(in crate::api) use super::B;";
    let all = ["api::child::X as X", "api::child::Y as Z", "net::tls as tls", "api::child::A", "api", "B as B"];
    assert_eq!(written("api", text), all);
}

#[test]
fn paths_in_code_count_and_those_in_text_and_tests_do_not() {
    let text = "
        //! crate::no_comment
        /// [`crate::no_link`]
        fn f(a: super::A) -> impl Iterator<Item = crate::B> + use<> {
            let text = \"crate::no_text\"; // crate::no_comment
            info!(\"{}\", child::C::new(|| self::D));
            $crate::no_macro(std::child::e(), self.child::<f>(), Crate::g)..child::H
        }
        mod inner { use super::I; }
        #[cfg(test)]
        mod tests { use super::no_test; }";
    let all = ["api::A", "B", "api::http::child::C::new", "api::http::D", "api::http::child::H", "api::http::I"];
    assert_eq!(written("api::http", text), all);
}
