//! Lines of the log are for people: no value in them is written with Rust's `Debug`.

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// The macros that write lines or open spans.
const MACROS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "event", "span"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// Calls of logging macros with `?value`, `key = ?value` or a text with `:?}`; and how many calls there are.
fn debug_output(tokens: TokenStream, found: &mut Vec<String>) -> usize {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut calls = 0;
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_call = at >= 2
            && matches!(&tokens[at - 1], TokenTree::Punct(mark) if mark.as_char() == '!')
            && matches!(&tokens[at - 2], TokenTree::Ident(name) if MACROS.iter().any(|known| name == known));
        if is_call {
            calls += 1;
            found.extend(has_debug(group.stream()).then(|| group.to_string()));
        }
        calls += debug_output(group.stream(), found);
    }
    calls
}

fn has_debug(arguments: TokenStream) -> bool {
    let mut is_start = true;
    arguments.into_iter().any(|token| {
        let was_start = is_start;
        is_start = matches!(&token, TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | '='));
        match token {
            TokenTree::Punct(mark) => was_start && mark.as_char() == '?',
            TokenTree::Literal(text) => ["?}", "#?}"].iter().any(|form| text.to_string().contains(&format!(":{form}"))),
            _ => false,
        }
    })
}

#[test]
fn no_line_of_the_log_has_debug_output() {
    let mut found = Vec::new();
    let mut calls = 0;
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let tokens: TokenStream = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        calls += debug_output(tokens, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
    assert!(calls > 100, "{calls} calls");
}

/// Types whose `Display` writes a part of them with `Debug`, which lines of the log would show.
fn display_by_debug(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Ident(name) = token else { continue };
        let is_display =
            name == "Display" && matches!(tokens.get(at + 1), Some(TokenTree::Ident(word)) if word == "for");
        let body = tokens[at..].iter().find_map(|token| match token {
            TokenTree::Group(group) => Some(group.stream().to_string()),
            _ => None,
        });
        if is_display && body.is_some_and(|body| body.contains(":?}")) {
            found.push(tokens[at + 2].to_string());
        }
    }
}

#[test]
fn no_type_is_displayed_by_its_debug_output() {
    let mut found = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        display_by_debug(std::fs::read_to_string(&file).unwrap().parse().unwrap(), &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    display_by_debug("impl fmt::Display for A { fn fmt() { write!(f, \"{x:?}\") } }".parse().unwrap(), &mut found);
    assert_eq!(found, ["A"]);
}

#[test]
fn debug_output_is_seen_in_each_of_its_forms() {
    for (line, is_found) in [
        ("info!(?name, \"x\")", true),
        ("warn!(name = ?a.b, \"x\")", true),
        ("error!(\"found {:?}\", a)", true),
        ("debug!(\"found {name:#?}\")", true),
        ("info!(%name, count = a?.b, \"{name}: {}\", c?)", false),
        ("format!(\"{name:?}\")", false),
    ] {
        let mut found = Vec::new();
        debug_output(line.parse().unwrap(), &mut found);
        assert_eq!(!found.is_empty(), is_found, "{line}");
    }
}
