//! The manual: a page for each command, made from the definition of the command line, and one for the configuration.

mod examples;
mod toml;

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::error::{CliError, Result};
use super::output::print;
use examples::examples;

/// `man [PAGE]`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The page to print, like account-create or txtgate.toml
    #[arg(default_value = "txtgate", conflicts_with = "output")]
    page: String,
    /// Write all pages instead, into the folders man1 and man5 of this one, like /usr/local/share/man
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// A page of the manual.
struct Page {
    name: String,
    /// 1 for commands, 5 for the format of files.
    section: u8,
    text: String,
}

/// Prints a page, or writes all of them.
pub fn man(wanted: &ManArgs, command: Command) -> Result<()> {
    let pages = pages(command)?;
    if let Some(folder) = &wanted.output {
        write(&pages, folder).map_err(|error| CliError::Refused(format!("{}: {error}", folder.display())))?;
        return print(&format!("{} pages are in {}", pages.len(), folder.display()));
    }
    let name = wanted.page.trim_start_matches("txtgate-");
    let is_wanted = |page: &&Page| page.name == name || page.name.strip_prefix("txtgate-") == Some(name);
    let Some(page) = pages.iter().find(is_wanted) else {
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        let problem = format!("the manual has no page {:?}; it has: {}", wanted.page, names.join(", "));
        return Err(CliError::Usage(problem));
    };
    print(page.text.trim_end())
}

fn write(pages: &[Page], folder: &Path) -> std::io::Result<()> {
    for page in pages {
        let folder = folder.join(format!("man{}", page.section));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{}.{}", page.name, page.section)), &page.text)?;
    }
    Ok(())
}

fn pages(command: Command) -> Result<Vec<Page>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add_pages(&command, &mut pages)?;
    let configuration = toml::page(command.get_version().unwrap_or_default());
    pages.push(Page { name: "txtgate.toml".to_owned(), section: 5, text: configuration });
    Ok(pages)
}

/// Adds the page of a command and those of the commands below it.
fn add_pages(command: &Command, pages: &mut Vec<Page>) -> Result<()> {
    // Like `txtgate account create`.
    let words = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let name = words.replace(' ', "-");
    let mut text = Vec::new();
    Man::new(command.clone()).title(name.to_uppercase()).manual("txtgate").render(&mut text)?;
    let path = words.strip_prefix("txtgate").unwrap_or_default().trim_start();
    let mut roff = Roff::new();
    // The hook has exit codes of its own, which its notes tell.
    if path != "hook" {
        add_exit_status(&mut roff, path);
    }
    add_files(&mut roff, path);
    add_examples(&mut roff, path);
    add_related(&mut roff, &words);
    let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH NOTES\n") + &roff.to_roff();
    pages.push(Page { name, section: 1, text });
    command.get_subcommands().try_for_each(|below| add_pages(below, pages))
}

/// Adds entries of a term and its meaning.
fn add_terms<'t>(roff: &mut Roff, heading: &str, terms: impl IntoIterator<Item = (&'t str, &'t str)>) {
    roff.control("SH", [heading]);
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning)]);
    }
}

fn add_exit_status(roff: &mut Roff, path: &str) {
    let mut codes = vec![
        ("0", "Success."),
        ("1", "The command failed; standard error says why."),
        ("2", "A mistake in what was typed or configured."),
    ];
    if path.is_empty() || path.starts_with("cert") {
        codes.push(("3", "Records have to be added to a zone first; they are printed."));
    }
    codes.push(("141", "Nobody reads the output any more."));
    add_terms(roff, "EXIT STATUS", codes);
}

fn add_files(roff: &mut Roff, path: &str) {
    let mut files = vec![("/etc/txtgate/config.toml", "The configuration; see txtgate.toml(5).")];
    let first = path.split(' ').next().unwrap_or_default();
    match first {
        "hook" => {
            files = vec![
                (
                    "/etc/txtgate/hook.toml",
                    "The settings of the hook; for users other than root first ~/.config/txtgate/hook.toml.",
                ),
                ("/etc/txtgate/accounts.json", "The accounts by domain, with their keys; mode 0600."),
            ];
        }
        "dnssec" => {
            files.push(("/var/lib/txtgate/ZONE.key", "The key of a zone, where `dnssec-key` puts it; mode 0600."))
        }
        "cert" | "acme" => files.extend([
            ("/var/lib/txtgate/acme", "The keys of ACME accounts, and the API's certificate; the folder of `state`."),
            (
                "/var/lib/txtgate/certificates/live/NAME",
                "cert.pem, chain.pem, fullchain.pem and privkey.pem of a certificate.",
            ),
        ]),
        _ => {}
    }
    if first != "hook" {
        files.push(("/var/lib/txtgate/txtgate.db", "The database, where `database` puts it."));
        files.push(("/run/txtgate/admin.sock", "The Unix socket of the running daemon, where `admin-socket` puts it."));
    }
    add_terms(roff, "FILES", files);
}

fn add_examples(roff: &mut Roff, path: &str) {
    roff.control("SH", ["EXAMPLES"]);
    for (line, meaning) in examples(path) {
        roff.control("TP", []);
        roff.text([bold(line)]);
        roff.text([roman(meaning)]);
    }
}

/// `words`: like `txtgate account create`.
fn add_related(roff: &mut Roff, words: &str) {
    roff.control("SH", ["SEE ALSO"]);
    let above = words.rsplit_once(' ').map(|(above, _)| format!("{}(1), ", above.replace(' ', "-")));
    let above = above.unwrap_or_default();
    roff.text([roman(format!("{above}txtgate.toml(5)"))]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn all() -> Vec<Page> {
        pages(crate::cli::Cli::command()).unwrap()
    }

    #[test]
    fn every_page_that_a_page_names_is_there_with_its_sections() {
        let pages = all();
        let named = |page: &Page| {
            let plain = page.text.replace('\\', "");
            let words = plain.split(|c: char| c.is_whitespace() || c == ',');
            words.filter_map(|word| word.strip_suffix("(1)").map(str::to_owned)).collect::<Vec<_>>()
        };
        for name in pages.iter().flat_map(named) {
            assert!(pages.iter().any(|page| page.name == name), "{name}");
        }
        assert!(pages.len() > 50, "{}", pages.len());
        for page in pages.iter().filter(|page| page.section == 1) {
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO"] {
                assert!(
                    page.text.contains(&format!("\n.SH {section}\n"))
                        || page.text.contains(&format!("\n.SH \"{section}\"\n")),
                    "{}: {section}",
                    page.name
                );
            }
            assert!(page.text.contains("EXIT STATUS") || page.text.contains("Exit codes"), "{}", page.name);
        }
    }

    /// The words of a line, with those in quotes whole.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate();
        parts
            .flat_map(|(index, part)| match index % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    #[test]
    fn every_command_has_an_example_that_is_one() {
        for page in all().iter().filter(|page| page.section == 1) {
            let path = page.name.strip_prefix("txtgate").unwrap().trim_start_matches('-');
            let command = crate::cli::Cli::command();
            // Names of commands have hyphens themselves, so the path is looked for.
            let path = leaf_paths(&command, "").into_iter().find(|found| found.replace(' ', "-") == path).unwrap();
            let examples: Vec<_> = examples(&path).collect();
            assert!(!examples.is_empty(), "no example of `txtgate {path}`");
            for (line, meaning) in examples {
                let read = crate::cli::Cli::command().try_get_matches_from(words(line));
                assert!(line.starts_with(&format!("txtgate {path}")) && !meaning.is_empty(), "{line}");
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
        }
    }

    fn leaf_paths(command: &Command, path: &str) -> Vec<String> {
        let below = command.get_subcommands().flat_map(|below| {
            let path = format!("{path} {}", below.get_name());
            leaf_paths(below, path.trim_start())
        });
        std::iter::once(path.to_owned()).chain(below).collect()
    }
}
