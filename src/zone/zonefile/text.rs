//! The text of a zonefile: what the parser must not see, and the lines that its errors name.

use super::error::ZonefileError;

/// Every quote and parenthesis is closed, and nothing follows right behind a quote: `domain` 0.12 panics at a text that
/// ends inside one, and at a name that is stuck to one.
pub fn ensure_balanced(zonefile: &str) -> Result<(), ZonefileError> {
    let (mut line, mut quoted, mut open, mut opened_in) = (1, false, 0, 1);
    let mut characters = zonefile.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => line += 1,
            '\\' => line += usize::from(characters.next() == Some('\n')),
            '"' => {
                (quoted, opened_in) = (!quoted, line);
                let ends = |next: &char| matches!(next, ' ' | '\t' | '\r' | '\n' | '(' | ')' | ';' | '"');
                if !quoted && !characters.peek().is_none_or(ends) {
                    return Err(ZonefileError { line, problem: "put a space behind this closing quote".into() });
                }
            }
            ';' if !quoted => line += usize::from(characters.by_ref().any(|c| c == '\n')),
            '(' if !quoted => (open, opened_in) = (open + 1, line),
            ')' if !quoted && open == 0 => {
                return Err(ZonefileError { line, problem: "this `)` closes nothing".into() });
            }
            ')' if !quoted => open -= 1,
            _ => {}
        }
    }
    match (quoted, open) {
        (false, 0) => Ok(()),
        (true, _) => Err(ZonefileError { line: opened_in, problem: "this quote is never closed".into() }),
        _ => Err(ZonefileError { line: opened_in, problem: "this `(` is never closed".into() }),
    }
}

/// Counts the lines of a text once, however many entries it has.
#[derive(Debug)]
pub struct LineCounter<'t> {
    text: &'t [u8],
    offset: usize,
    line: usize,
}

impl<'t> LineCounter<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text: text.as_bytes(), offset: 0, line: 1 }
    }

    /// The line in which the entry that ends at `offset` stands. No offset is before the last one.
    pub fn line_before(&mut self, offset: usize) -> usize {
        let end = offset.min(self.text.len()).max(self.offset);
        self.line += self.text[self.offset..end].iter().filter(|&&byte| byte == b'\n').count();
        self.offset = end;
        let is_at_end_of_line = self.text[..end].last() == Some(&b'\n');
        if is_at_end_of_line { self.line - 1 } else { self.line }
    }
}

/// The parser's own errors read `line:column: what`. It reports a bad last token of a line at the start of the next.
pub fn syntax_error(text: &str) -> ZonefileError {
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse::<usize>().ok());
    match (number(), number()) {
        (Some(line), Some(column)) => {
            let line = if column <= 1 && line > 1 { line - 1 } else { line };
            let problem = parts.next().unwrap_or("unreadable record").trim().to_owned();
            let needed = problem.strip_prefix("expected ").map(|needed| format!("a valid {needed} is missing"));
            let problem = needed.unwrap_or(problem);
            ZonefileError { line, problem: format!("{problem}; write a record as `name type data`") }
        }
        _ => ZonefileError { line: 1, problem: text.to_owned() },
    }
}
