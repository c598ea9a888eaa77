//! As much of Markdown as the pages use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page, in parts.
pub struct Page {
    /// Relative to the repository.
    pub path: PathBuf,
    pub text: String,
    /// The text outside of blocks of code.
    pub prose: String,
    /// The lines in blocks of code; those that end in a backslash go on in the next one.
    pub code: Vec<String>,
    /// The blocks of code, each with its language.
    pub blocks: Vec<(String, String)>,
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self::of(path, &text)
    }

    pub fn of(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            prose: String::new(),
            code: vec![String::new()],
            blocks: Vec::new(),
        };
        let mut is_code = false;
        for line in text.lines() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                is_code = !is_code;
                page.code.push(String::new());
                page.blocks.extend(is_code.then(|| (language.to_owned(), String::new())));
            } else if is_code {
                page.add_code(line);
            } else {
                page.prose.push_str(line);
                page.prose.push('\n');
            }
        }
        assert!(!is_code, "{path:?}: a block of code has no end");
        page
    }

    fn add_code(&mut self, line: &str) {
        if let Some((_, block)) = self.blocks.last_mut() {
            block.push_str(line.trim_start());
            block.push('\n');
        }
        let last = self.code.last_mut().expect("there is always one");
        match last.strip_suffix('\\') {
            Some(before) => *last = format!("{before} {}", line.trim()),
            None => self.code.push(line.trim().to_owned()),
        }
    }

    /// The code within lines, each on one line.
    pub fn inline_code(&self) -> impl Iterator<Item = String> {
        self.prose.split('`').skip(1).step_by(2).map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The text without the code within lines.
    fn plain(&self) -> String {
        self.prose.split('`').step_by(2).collect::<Vec<_>>().join("``")
    }

    /// The targets of links.
    pub fn links(&self) -> Vec<String> {
        let plain = self.plain();
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).collect()
    }

    pub fn headings(&self) -> impl Iterator<Item = &str> {
        let lines = self.prose.lines().filter(|line| line.starts_with('#'));
        lines.map(|line| line.trim_start_matches('#').trim())
    }

    /// What a link writes behind `#` for each heading, as GitHub makes it.
    pub fn anchors(&self) -> Vec<String> {
        let mut times: HashMap<String, usize> = HashMap::new();
        let mut found = Vec::new();
        for heading in self.headings() {
            let anchor = anchor(heading);
            let count = times.entry(anchor.clone()).or_default();
            found.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
            *count += 1;
        }
        found
    }

    /// Headings that the text names in quotes, as in `see "Backup" in operations.md` or `"Backup" below`, each with the
    /// page that it should be in.
    pub fn quoted_headings(&self) -> Vec<(String, PathBuf)> {
        let plain = self.plain().split_whitespace().collect::<Vec<_>>().join(" ");
        let parts: Vec<&str> = plain.split('"').collect();
        let mut found = Vec::new();
        for pair in parts.windows(2).skip(1) {
            let [quoted, after] = pair else { continue };
            if after.starts_with(" below") || after.starts_with(" above") {
                found.push(((*quoted).to_owned(), self.path.clone()));
            }
            let page = after.strip_prefix(" in ").and_then(|rest| rest.split([' ', ',', ')', ';']).next());
            if let Some(page) = page.map(|page| page.trim_end_matches('.')).filter(|page| page.ends_with(".md")) {
                found.push(((*quoted).to_owned(), self.beside(page)));
            }
        }
        found
    }

    /// A path that this page names, relative to the repository.
    pub fn beside(&self, target: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let mut path = PathBuf::new();
        for part in folder.join(target).components() {
            match part {
                std::path::Component::ParentDir => assert!(path.pop(), "{target} leads out of the repository"),
                part => path.push(part),
            }
        }
        path
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
