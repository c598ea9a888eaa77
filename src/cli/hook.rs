//! `hook`: the program that ACME clients call to answer a challenge, each client in its own way. The server is a txtgate
//! or an acme-dns on any machine.
//!
//! [`call`] reads the client's arguments, [`accounts`] finds the account of the domain, [`server`] sends requests to the
//! API, and [`seen`] waits until resolvers see the value.

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
use accounts::{AccountFile, HookAccount};
use call::{Call, HookChallenge, HookTarget};
use server::HookServer;
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

/// Runs the hook for a client. `file` is the `hook.toml` of the command line.
pub fn hook(hook: Hook, file: Option<&Path>) -> Result<()> {
    let environment = |name: &str| std::env::var(name).ok();
    let call = Call::of(&hook.words, environment)?;
    if call == Call::Nothing {
        return Ok(());
    }
    let settings = Settings::read(hook.given, file, environment)?;
    let run = HookRun { accounts: AccountFile::at(&settings.accounts), settings };
    match call {
        Call::Publish(challenges) => run.publish(&challenges),
        Call::Retire(challenges) => run.retire(&challenges),
        Call::Register(targets) => run.register(&targets),
        Call::Nothing => Ok(()),
    }
}

/// A run of the hook: its settings and its accounts.
struct HookRun {
    settings: Settings,
    accounts: AccountFile,
}

impl HookRun {
    fn publish(&self, challenges: &[HookChallenge]) -> Result<()> {
        // Printed first, whatever happens later: certbot's clean-up is recognized by this line.
        for HookChallenge { txt, target } in challenges {
            say(&format!("txtgate: {txt} for {}", target.name()));
        }
        // All accounts come before any value, so that a user with several records to add sees all of them at once.
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

    /// Retires values. A failure is printed but does not fail the client, because values expire anyway.
    fn retire(&self, challenges: &[HookChallenge]) -> Result<()> {
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

    fn register(&self, targets: &[HookTarget]) -> Result<()> {
        for target in targets {
            let (account, _) = self.account(target)?;
            say(&cname(target, &account));
        }
        Ok(())
    }

    /// The account of a target, and whether it was registered just now.
    fn account(&self, target: &HookTarget) -> Result<(HookAccount, bool)> {
        if let Some(account) = self.accounts.find(target)? {
            return Ok((account, false));
        }
        let HookTarget::Domain(domain) = target else {
            let path = self.accounts.path().to_owned();
            return Err(HookError::NoSuchFulldomain { path, name: target.name().clone() });
        };
        let server = self.server(self.settings.server.clone())?;
        let locked = self.accounts.lock()?;
        // Another hook may have registered the domain in the meantime.
        if let Some(account) = self.accounts.find(target)? {
            return Ok((account, false));
        }
        let reply = server.register(domain, &self.settings)?;
        Ok((locked.insert(domain, reply, server.url())?, true))
    }

    /// The server where an account was registered. The account's key is sent to no other server. The settings provide the
    /// path and the credentials of the same server, and the server of accounts that name none.
    fn server_of(&self, account: &HookAccount) -> Result<HookServer> {
        let Some(own) = &account.server else { return self.server(self.settings.server.clone()) };
        let own = ServerUrl::parse(own, self.settings.allow_http)?;
        let set = self.settings.server.clone().filter(|set| set.is_at(&own));
        self.server(Some(set.unwrap_or(own)))
    }

    fn server(&self, url: Option<ServerUrl>) -> Result<HookServer> {
        let url = url.ok_or_else(|| HookError::NoServer(self.settings.file.clone()))?;
        HookServer::at(url, &self.settings)
    }

    fn wait(&self, challenge: &HookChallenge) -> Result<()> {
        let Some(patience) = self.settings.wait else { return Ok(()) };
        let name = match &challenge.target {
            HookTarget::Domain(domain) => challenge_name(domain)?,
            HookTarget::Fulldomain(name) => name.clone(),
        };
        seen::wait(&name, &challenge.txt, self.settings.resolver, patience)
    }
}

fn challenge_name(domain: &Name) -> Result<Name> {
    domain.child("_acme-challenge").map_err(|problem| HookError::Domain { text: domain.to_string(), problem })
}

fn cname(target: &HookTarget, account: &HookAccount) -> String {
    format!("_acme-challenge.{}. CNAME {}.", target.name(), account.fulldomain)
}

/// Prints a line. A client that has closed its end is not a failure.
fn say(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}
