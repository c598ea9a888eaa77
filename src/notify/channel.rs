//! The ways out: a webhook, a command, mail.

use std::time::Duration;

use crate::config::Notify;
use crate::config::notify::{Mail, NotifyCommand, Webhook};
use crate::model::text::one_line;
use crate::process::{self, Ending};

use super::failure::Failure;
use super::mail;
use super::message::Message;
use super::webhook;

/// One way out.
#[derive(Debug, Clone)]
pub enum Channel {
    Webhook(Webhook),
    Command(NotifyCommand),
    Mail(Mail),
}

impl Channel {
    /// The channels of a configuration.
    pub fn all(settings: &Notify) -> Vec<Self> {
        let webhook = settings.webhook.clone().map(Self::Webhook);
        let command = settings.command.clone().map(Self::Command);
        let mail = settings.mail.clone().map(Self::Mail);
        webhook.into_iter().chain(command).chain(mail).collect()
    }

    /// The channel's name in metrics, replies and the file of what waits.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
            Self::Mail(_) => "mail",
        }
    }

    /// Where it leads. The path of a webhook's URL may be a secret, and so may the arguments of a command.
    pub fn target(&self) -> String {
        match self {
            Self::Webhook(webhook) => {
                let uri = webhook.url.uri();
                let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority());
                format!("{scheme}://{}", authority.map(|authority| authority.as_str()).unwrap_or_default())
            }
            Self::Command(command) => command.program.clone(),
            Self::Mail(mail) => mail.to.join(", "),
        }
    }

    /// Makes one attempt to deliver a message.
    pub async fn send(&self, message: &Message, limit: Duration) -> Result<(), Failure> {
        match self {
            Self::Webhook(webhook) => webhook::post(webhook, message, limit).await,
            Self::Command(NotifyCommand { program, arguments }) => {
                let command = process::command(program, arguments);
                outcome(program, process::run(command, Some(message.json()), limit).await)
            }
            Self::Mail(mail) => {
                let program = mail.sendmail.display().to_string();
                let command = process::command(&program, &["-t".to_owned(), "-i".to_owned()]);
                let ending = process::run(command, Some(mail::render(mail, message)), limit).await;
                outcome(&program, ending).map_err(mail_failure)
            }
        }
    }
}

/// Adds what to look at. The usual mail systems queue mail with the rights of another user or group.
fn mail_failure(mut failure: Failure) -> Failure {
    failure.problem += "; under the systemd unit, name a `sendmail` that speaks SMTP itself, like msmtp, or use `webhook`: \
                        see docs/operations.md, Notifications";
    failure
}

/// Whether a program has taken a message: its exit code says so.
fn outcome(program: &str, ending: Ending) -> Result<(), Failure> {
    if ending.success {
        return Ok(());
    }
    let output = one_line(&ending.output);
    let output = if output.is_empty() { output } else { format!(": {output}") };
    Err(Failure { problem: format!("{program} {}{output}", ending.ended), is_refusal: false, retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[tokio::test]
    async fn a_failure_of_mail_names_programs_that_work_under_the_systemd_unit() {
        let mail = Mail { sendmail: "/bin/false".into(), from: "a@example.org".to_owned(), to: Vec::new() };
        let message = Message::test("auth.test", Timestamp::from_unix(0));
        let failure = Channel::Mail(mail).send(&message, Duration::from_secs(60)).await.unwrap_err();
        assert!(failure.problem.starts_with("/bin/false ") && failure.problem.contains("msmtp"), "{failure:?}");
    }
}
