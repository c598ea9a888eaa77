//! `hook`: what ACME clients call to have a challenge answered, each in a way of its own; for a txtgate or an acme-dns
//! on any machine.
//!
//! [`call`] tells who has called and for what, [`accounts`] knows the account of the domain, [`server`] speaks to the
//! API, and [`seen`] looks whether the world sees the value.

mod accounts;
mod call;
pub mod error;
mod seen;
mod server;
mod settings;
mod url;

use std::io::Write;
use std::path::Path;

use clap::Args;

use crate::model::name::Name;

use super::output::tell;
use accounts::{Account, AccountFile};
use call::{Call, Challenge, Target};
use server::Server;
use settings::{Given, Settings};
use url::ServerUrl;

pub use error::HookError;

type Result<T> = std::result::Result<T, HookError>;

/// `hook ...`
#[derive(Debug, Args)]
#[command(after_help = "\
Clients call it with arguments of their own; certbot with none, and CERTBOT_* in the environment:
  certbot     --manual-auth-hook 'txtgate hook' --manual-cleanup-hook 'txtgate hook'
  others take the path of a program: a link named `txtgate-hook` to this one is this command
  dehydrated  HOOK=/usr/local/bin/txtgate-hook        uacme   -h /usr/local/bin/txtgate-hook
  lego        EXEC_PATH=/usr/local/bin/txtgate-hook lego --dns exec
  acmetool    link it into /etc/acme/hooks            mod_md  MDChallengeDns01 /usr/local/bin/txtgate-hook
  people      txtgate hook register example.com       makes the account and prints the CNAME to add

Settings are flags, environment variables, or lines of /etc/txtgate/hook.toml (--config; for users other than root
first ~/.config/txtgate/hook.toml) named as the flags are: server = \"https://auth.example.org\"

Exit codes: 0; 1 for a failure; 2 for a mistake in what is written; 3 for a domain that was registered just now, or
whose value is not seen: its CNAME has to be added; 42 for events of acmetool that are not about dns-01.")]
pub struct Hook {
    #[command(flatten)]
    given: Given,
    /// What the client gives
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    words: Vec<String>,
}

/// Does what a client asks for; `file` is the `hook.toml` that was named.
pub fn hook(hook: Hook, file: Option<&Path>) -> Result<()> {
    let environment = |name: &str| std::env::var(name).ok();
    let call = Call::of(&hook.words, environment)?;
    if call == Call::Nothing {
        return Ok(());
    }
    let settings = Settings::read(hook.given, file, environment)?;
    let desk = Desk { accounts: AccountFile::at(&settings.accounts), settings };
    match call {
        Call::Publish(challenges) => desk.publish(&challenges),
        Call::Retire(challenges) => desk.retire(&challenges),
        Call::Register(targets) => desk.register(&targets),
        Call::Nothing => Ok(()),
    }
}

/// Settings and accounts, at work.
struct Desk {
    settings: Settings,
    accounts: AccountFile,
}

impl Desk {
    fn publish(&self, challenges: &[Challenge]) -> Result<()> {
        // First of all, and whatever happens then: certbot's clean-up is told from the next challenge by it.
        for Challenge { txt, target } in challenges {
            say(&format!("txtgate: {txt} for {}", target.name()));
        }
        // All accounts before any value: who has several records to add hears of all of them at once.
        let mut found = Vec::with_capacity(challenges.len());
        let mut new = 0;
        for challenge in challenges {
            let (account, is_new) = self.account(&challenge.target)?;
            if is_new {
                new += 1;
                let record = cname(&challenge.target, &account);
                tell(&format!("registered; add this record to the DNS, once:\n\n  {record}\n"));
            }
            found.push((challenge, account));
        }
        if new > 0 && self.settings.wait.is_none() {
            return Err(HookError::AddRecords(new));
        }
        for (challenge, account) in &found {
            self.server_of(account)?.publish(account, &challenge.txt, self.accounts.path())?;
        }
        found.iter().try_for_each(|(challenge, _)| self.wait(challenge))
    }

    /// Values expire by themselves, so a failure here is told and fails no client.
    fn retire(&self, challenges: &[Challenge]) -> Result<()> {
        for challenge in challenges {
            let retired = match self.accounts.find(&challenge.target) {
                Ok(None) => Ok(()),
                Ok(Some(account)) => {
                    self.server_of(&account).and_then(|server| server.retire(&account, &challenge.txt))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = retired {
                tell(&format!("{error}; the value stays until it expires"));
            }
        }
        Ok(())
    }

    fn register(&self, targets: &[Target]) -> Result<()> {
        for target in targets {
            let (account, _) = self.account(target)?;
            say(&cname(target, &account));
        }
        Ok(())
    }

    /// The account of a target, and whether it was registered just now.
    fn account(&self, target: &Target) -> Result<(Account, bool)> {
        if let Some(account) = self.accounts.find(target)? {
            return Ok((account, false));
        }
        let Target::Domain(domain) = target else {
            let (path, name) = (self.accounts.path().to_owned(), target.name().clone());
            return Err(HookError::NoSuchFulldomain { path, name });
        };
        let server = self.server(self.settings.server.clone())?;
        let locked = self.accounts.lock()?;
        // Another hook may have registered it meanwhile.
        if let Some(account) = self.accounts.find(target)? {
            return Ok((account, false));
        }
        let reply = server.register(domain, &self.settings)?;
        Ok((locked.insert(domain, reply, server.url())?, true))
    }

    /// Where an account was registered; its key goes nowhere else. The settings speak for the same server's path and
    /// credentials, and for accounts that name no server.
    fn server_of(&self, account: &Account) -> Result<Server> {
        let Some(own) = &account.server else { return self.server(self.settings.server.clone()) };
        let own = ServerUrl::parse(own, self.settings.allow_http)?;
        let set = self.settings.server.clone().filter(|set| set.is_at(&own));
        self.server(Some(set.unwrap_or(own)))
    }

    fn server(&self, url: Option<ServerUrl>) -> Result<Server> {
        let url = url.ok_or_else(|| HookError::NoServer(self.settings.file.clone()))?;
        Server::at(url, &self.settings)
    }

    fn wait(&self, challenge: &Challenge) -> Result<()> {
        let Some(patience) = self.settings.wait else { return Ok(()) };
        let name = match &challenge.target {
            Target::Domain(domain) => challenge_name(domain)?,
            Target::Fulldomain(name) => name.clone(),
        };
        seen::wait(&name, &challenge.txt, self.settings.resolver, patience)
    }
}

fn challenge_name(domain: &Name) -> Result<Name> {
    let long = |problem| HookError::Domain { text: domain.to_string(), problem };
    domain.child("_acme-challenge").map_err(long)
}

fn cname(target: &Target, account: &Account) -> String {
    format!("_acme-challenge.{}. CNAME {}.", target.name(), account.fulldomain)
}

/// To whoever listens; a client that has closed its end is none of our failures.
fn say(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}
