//! The manual, as the program writes it and as groff and mandoc read it.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Home, Settings, skip};

fn pages(home: &Home) -> Vec<PathBuf> {
    let folder = home.path().join("man");
    let said = home.run_ok(&["man", "--output", folder.to_str().unwrap()]);
    let mut pages = Vec::new();
    for section in ["man1", "man5"] {
        pages.extend(std::fs::read_dir(folder.join(section)).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(said.starts_with(&format!("{} pages are in ", pages.len())), "{said}");
    pages
}

#[test]
fn the_manual_has_a_page_for_each_command_and_for_the_configuration() {
    let home = Home::new(&Settings::default());
    let pages = pages(&home);
    for name in ["man1/txtgate.1", "man1/txtgate-account-create.1", "man1/txtgate-serve.1", "man5/txtgate.toml.5"] {
        assert!(pages.iter().any(|page| page.ends_with(name)), "{name} in {pages:?}");
    }
    let main = home.run_ok(&["man"]);
    for part in [".TH TXTGATE 1", "txtgate\\-account(1)", ".SH FILES", ".SH \"EXIT STATUS\"", ".SH EXAMPLES"] {
        assert!(main.contains(part), "{part} in {main}");
    }
    for name in ["txtgate-cert-issue", "cert-issue", "txtgate.toml"] {
        assert!(home.run_ok(&["man", name]).contains(".TH TXTGATE"), "{name}");
    }
    let (code, said) = home.run_err(&["man", "nonsense"]);
    assert!(code == Some(2) && said.contains("\"nonsense\"") && said.contains("txtgate-watch"), "{said}");
}

#[test]
fn groff_renders_every_page_without_a_warning() {
    if Command::new("groff").arg("--version").output().is_err() {
        return skip("the pages of the manual, rendered", "groff is not installed (apt-get install groff-base)");
    }
    let home = Home::new(&Settings::default());
    for page in pages(&home) {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-Kutf8", "-rLL=80n", "-ww"]).arg(&page).env("GROFF_NO_SGR", "1");
        let output = groff.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
        let text = String::from_utf8_lossy(&output.stdout);
        let plain = text.replace('\u{8}', "");
        assert!(plain.contains("SEE") && text.lines().count() > 15, "{}: {text}", page.display());
    }
}

#[test]
fn mandoc_finds_no_error_in_any_page() {
    if Command::new("mandoc").arg("-Tlint").stdin(std::process::Stdio::null()).output().is_err() {
        return skip("the pages of the manual, by mandoc", "mandoc is not installed (apt-get install mandoc)");
    }
    let home = Home::new(&Settings::default());
    for page in pages(&home) {
        let output = Command::new("mandoc").args(["-Tlint", "-Werror"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {said}", page.display());
    }
}
