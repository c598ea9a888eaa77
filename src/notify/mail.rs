//! Messages as mail (RFC 5322), for the machine's own `sendmail`.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::notify::Mail;
use crate::model::text::one_line;

use super::message::Message;

/// The width of the text.
const WIDTH: usize = 76;
/// The bytes of text in one encoded word, which may have 75 characters (RFC 2047 section 2).
const ENCODED: usize = 42;

/// A mail for `sendmail -t -i`, which takes the recipients out of it.
pub fn render(mail: &Mail, message: &Message) -> Vec<u8> {
    let host = mail.from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    // The zone as RFC 5322 section 3.3 writes it; the HTTP form of the date has its obsolete name.
    let date = httpdate::fmt_http_date(SystemTime::now()).replace("GMT", "+0000");
    let head = [
        format!("From: {}", mail.from),
        format!("To: {}", mail.to.join(",\n ")),
        format!("Subject: {}", subject(&one_line(&message.title()))),
        format!("Date: {date}"),
        format!("Message-ID: <{}@{host}>", message.id),
        // Keeps absence notices from being sent in reply (RFC 3834 section 5).
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
    ];
    format!("{}\n\n{}", head.join("\n"), body(message)).into_bytes()
}

fn body(message: &Message) -> String {
    let data = &message.data;
    let mut text = format!("{}\n\n{}\n\n", wrapped(&message.title()), wrapped(&data.details));
    let kind = data.kind.map(|kind| kind.to_string());
    let rows = [
        ("server", Some(data.server.clone())),
        ("kind", kind),
        ("subject", data.subject.clone()),
        ("since", data.since.clone()),
        ("message", Some(message.id.clone())),
    ];
    for (name, value) in rows {
        text += &value.map(|value| format!("{:<9}{}\n", format!("{name}:"), one_line(&value))).unwrap_or_default();
    }
    text
}

/// A subject as a header may hold it.
fn subject(text: &str) -> String {
    // Two lines of the header at most: a line has at most 998 characters (RFC 5322 section 2.1.1).
    let text: String = text.chars().take(300).collect();
    if text.is_ascii() {
        return text;
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > ENCODED) {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(c));
    }
    let words = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\n ")
}

/// A text in lines, each word whole.
fn wrapped(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.extend(word.chars().map(|c| if c.is_control() { '?' } else { c }));
        }
        lines.push(current);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn mail() -> Mail {
        let to = vec!["a@example.org".to_owned(), "b@example.org".to_owned()];
        Mail { sendmail: "/usr/sbin/sendmail".into(), from: "txtgate@example.org".to_owned(), to }
    }

    fn rendered(summary: &str) -> String {
        let mut message = Message::test("auth.test", Timestamp::from_unix(0));
        message.data.summary = summary.to_owned();
        message.data.details = "word ".repeat(100);
        String::from_utf8(render(&mail(), &message)).unwrap()
    }

    #[test]
    fn a_mail_has_its_header_and_lines_of_a_readable_width() {
        let text = rendered("it fails");
        let (head, body) = text.split_once("\n\n").unwrap();
        assert!(head.starts_with("From: txtgate@example.org\nTo: a@example.org,\n b@example.org\n"), "{head}");
        assert!(head.contains("\nSubject: [auth.test] test: it fails\n") && head.contains(" +0000\n"), "{head}");
        assert!(body.starts_with("[auth.test] test: it fails\n\nword word"), "{body}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn nothing_in_a_message_adds_a_header() {
        let text = rendered("x\r\nBcc: c@example.org\n\nb\u{fc}cher \u{1b}[31m");
        let (head, _) = text.split_once("\n\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        let encoded = head.split_once("Subject: ").unwrap().1.split_once("\nDate").unwrap().0;
        let words = encoded.split("\n ").map(|word| {
            assert!(word.len() <= 75, "{word}");
            let word = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            String::from_utf8(STANDARD.decode(word).unwrap()).unwrap()
        });
        assert_eq!(words.collect::<String>(), "[auth.test] test: x | Bcc: c@example.org |  | b\u{fc}cher ?[31m");
    }
}
