//! `[notify]`: whom the daemon notifies of what needs attention.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::name::idn;
use crate::model::url::Url;

use super::file;
use super::read::{Reader, private_text};

/// The most recipients of mail.
const MAX_RECIPIENTS: usize = 20;
/// The shortest time after which an account may count as unused.
const LEAST_UNUSED: Duration = Duration::from_secs(7 * 86_400);
/// What a secret begins with, as the Standard Webhooks specification writes it.
const SECRET_PREFIX: &str = "whsec_";
/// The bytes of a secret that the specification allows.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// `[notify]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    pub webhook: Option<Webhook>,
    pub command: Option<NotifyCommand>,
    pub mail: Option<Mail>,
    /// The time limit of one attempt on a channel.
    pub timeout: Duration,
    /// How long a matter must last before it is reported; and how long it must be gone before its end is.
    pub grace: Duration,
    /// How often a matter that lasts is reported again; `None`: once.
    pub remind: Option<Duration>,
    /// The disk counts as nearly full with fewer free bytes.
    pub disk_free: u64,
    /// Whether accounts that have not renewed in time are reported.
    pub overdue: bool,
    /// An account whose usual span between renewals is not known counts as unused after this time without a publication.
    /// `None`: validations for unused accounts are not reported.
    pub unused_account: Option<Duration>,
}

/// An HTTP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: Url,
    pub secret: WebhookSecret,
}

/// The key of the signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// The HMAC key.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Reads `whsec_` and the key in base64.
    fn read(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text.trim().strip_prefix(SECRET_PREFIX)?).ok()?;
        SECRET_BYTES.contains(&key.len()).then_some(Self(key))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(redacted)")
    }
}

/// A program that takes each message on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyCommand {
    /// The absolute path of the program, which runs without a shell.
    pub program: String,
    pub arguments: Vec<String>,
}

/// Mail through the machine's own `sendmail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub sendmail: PathBuf,
    pub from: String,
    /// At least one recipient.
    pub to: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn notify(&self, notify: &file::Notify) -> Notify {
        let remind = self.span_between("notify.remind", &notify.remind, "0s", "400d").unwrap_or_default();
        if !remind.is_zero() && remind < Duration::from_secs(3_600) {
            let problem = format!("found {:?}; write \"0s\" for no reminders, or \"1h\" and more", notify.remind);
            self.wrong("notify.remind", problem);
        }
        let unused =
            self.span_between("notify.unused-account", &notify.unused_account, "0s", "1000d").unwrap_or_default();
        if !unused.is_zero() && unused < LEAST_UNUSED {
            let problem =
                format!("write \"0s\" for no such reports, or \"7d\" and more; found {:?}", notify.unused_account);
            self.wrong("notify.unused-account", problem);
        }
        self.in_range("notify.disk-free-mib", notify.disk_free_mib, 0, 1 << 40);
        Notify {
            webhook: self.webhook(notify),
            command: self.notify_command(&notify.command),
            mail: self.mail(notify),
            timeout: self.timeout("notify.timeout", &notify.timeout),
            grace: self.span_between("notify.grace", &notify.grace, "0s", "24h").unwrap_or_default(),
            remind: Some(remind).filter(|remind| !remind.is_zero()),
            disk_free: notify.disk_free_mib.saturating_mul(1 << 20),
            overdue: notify.overdue,
            unused_account: Some(unused).filter(|unused| !unused.is_zero()),
        }
    }

    fn webhook(&self, notify: &file::Notify) -> Option<Webhook> {
        match (&notify.webhook, &notify.webhook_secret_file) {
            (None, None) => None,
            (Some(url), Some(path)) => {
                let url = self.take("notify.webhook", url.parse::<Url>());
                let secret = self.webhook_secret(&self.folder.join(path));
                Some(Webhook { url: url?, secret: secret? })
            }
            (Some(_), None) => {
                let problem = "each message is signed; add `webhook-secret-file`, the file of a secret that the receiver \
                               knows too";
                self.wrong("notify.webhook", problem);
                None
            }
            (None, Some(_)) => {
                self.wrong("notify.webhook-secret-file", "it is the secret of a webhook; add `webhook`, its URL");
                None
            }
        }
    }

    fn webhook_secret(&self, path: &Path) -> Option<WebhookSecret> {
        const KEY: &str = "notify.webhook-secret-file";
        let text = self.take(KEY, private_text(path))?;
        let secret = WebhookSecret::read(&text);
        if secret.is_none() {
            let shown = path.display();
            let problem = format!(
                "{shown} holds no secret; make one with `(umask 077; echo \"whsec_$(openssl rand -base64 32)\" > {shown})`"
            );
            self.wrong(KEY, problem);
        }
        secret
    }

    fn notify_command(&self, words: &[String]) -> Option<NotifyCommand> {
        let (program, arguments) = words.split_first()?;
        if !program.starts_with('/') {
            let problem = format!("write an absolute path like \"/usr/local/bin/notify\"; found {program:?}");
            self.wrong("notify.command", problem);
        }
        Some(NotifyCommand { program: program.clone(), arguments: arguments.to_vec() })
    }

    fn mail(&self, notify: &file::Notify) -> Option<Mail> {
        let to = notify.mail_to.iter().enumerate();
        let to: Vec<_> = to.filter_map(|(at, text)| self.mail_address(&format!("notify.mail-to.{at}"), text)).collect();
        if notify.mail_to.len() > MAX_RECIPIENTS {
            let problem = format!("there are {}; write at most {MAX_RECIPIENTS}", notify.mail_to.len());
            self.wrong("notify.mail-to", problem);
        }
        if !notify.sendmail.is_absolute() {
            let problem = format!("write an absolute path like \"/usr/sbin/sendmail\"; found {:?}", notify.sendmail);
            self.wrong("notify.sendmail", problem);
        }
        let from = notify.mail_from.as_ref().and_then(|from| self.mail_address("notify.mail-from", from));
        if !notify.mail_to.is_empty() && notify.mail_from.is_none() {
            let problem = "mail needs a sender; add `mail-from`, like \"txtgate@example.org\"";
            self.wrong("notify.mail-to", problem);
        }
        if to.is_empty() {
            return None;
        }
        Some(Mail { sendmail: notify.sendmail.clone(), from: from?, to })
    }

    /// Reads one address, which becomes a part of a mail's header: it holds nothing that means something there.
    fn mail_address(&self, key: &str, text: &str) -> Option<String> {
        let address = match text.rsplit_once('@') {
            Some((local, host)) if !local.is_empty() => idn::to_ascii(host).ok().map(|host| format!("{local}@{host}")),
            _ => None,
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
        let address =
            address.filter(|text| text.bytes().all(is_plain) && text.matches('@').count() == 1 && text.len() <= 254);
        if address.is_none() {
            let shown: String = text.chars().take(80).collect();
            self.wrong(key, format!("write a mail address like \"hostmaster@example.org\"; found {shown:?}"));
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    fn parse(text: &str) -> Result<Notify, String> {
        let text = format!("[notify]\n{text}{ZONE}");
        Config::parse(Path::new("/x/c.toml"), &text).map(|config| config.notify).map_err(|error| error.to_string())
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        for (text, place, advice) in [
            ("webhook = \"https://a.test/\"\n", "2:11: notify.webhook: ", "webhook-secret-file"),
            ("webhook-secret-file = \"x\"\n", "2:23: notify.webhook-secret-file: ", "add `webhook`"),
            ("webhook = \"http://a.test/\"\nwebhook-secret-file = \"no\"\n", "2:11: notify.webhook: ", "not https"),
            (
                "webhook = \"https://a.test/\"\nwebhook-secret-file = \"no\"\n",
                "3:23: notify.webhook-secret",
                "cannot read",
            ),
            ("command = [\"notify\"]\n", "2:11: notify.command: ", "absolute path"),
            ("mail-to = [\"a@b.c\"]\n", "2:11: notify.mail-to: ", "mail-from"),
            ("mail-to = [\"a@b.c, d@e.f\"]\nmail-from = \"a@b.c\"\n", "2:12: notify.mail-to[0]: ", "hostmaster@"),
            ("mail-from = \"a@b.c\\nBcc: d@e.f\"\n", "2:13: notify.mail-from: ", "hostmaster@"),
            ("sendmail = \"sendmail\"\n", "2:12: notify.sendmail: ", "/usr/sbin"),
            ("remind = \"5m\"\n", "2:10: notify.remind: ", "\"1h\" and more"),
            ("unused-account = \"6d\"\n", "2:18: notify.unused-account: ", "\"7d\" and more"),
            ("unused-account = \"9999d\"\n", "2:18: notify.unused-account: ", "1000d"),
            ("grace = \"2d\"\n", "2:9: notify.grace: ", "24h"),
            ("timeout = \"0s\"\n", "2:11: notify.timeout: ", "1s"),
        ] {
            let found = parse(text).expect_err(text);
            assert!(found.starts_with(&format!("/x/c.toml:{place}")) && found.contains(advice), "{text:?}: {found}");
        }
    }

    #[test]
    fn the_secret_is_read_from_a_private_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let parse = || parse(&format!("webhook = \"https://a.test/x\"\nwebhook-secret-file = {path:?}\n"));
        let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        std::fs::write(&path, format!("whsec_{}\n", STANDARD.encode([7; 32]))).unwrap();
        mode(0o644);
        assert!(parse().unwrap_err().contains("chmod o-r"));
        mode(0o600);
        let webhook = parse().unwrap().webhook.unwrap();
        assert_eq!(webhook.secret.reveal(), [7; 32]);
        assert!(format!("{webhook:?}").contains("WebhookSecret(redacted)"));
        for bad in ["", "whsec_", "secret", "whsec_c2hvcnQ="] {
            std::fs::write(&path, bad).unwrap();
            assert!(parse().unwrap_err().contains("openssl rand"), "{bad}");
        }
    }
}
