//! `hook`: the program that ACME clients call to answer a challenge, each client in its own way. The server is a txtgate
//! or an acme-dns on any machine.
//!
//! [`call`] reads the client's arguments, [`accounts`] finds the account of the domain, [`cname`] that of the name to which its
//! CNAME leads, [`server`] sends requests to the API, and [`seen`] waits until resolvers see the value.

mod accounts;
mod call;
mod cname;
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
use settings::{Given, HookWait, Settings};
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

/// The account of a target.
struct FoundAccount {
    account: HookAccount,
    /// The domain whose CNAME leads to the account.
    domain: Name,
    /// Whether it was registered just now.
    is_new: bool,
}

/// Where the values of a target belong.
enum Place {
    Account(HookAccount),
    /// No account has been registered for this domain, whose challenge it is.
    Unregistered(Name),
    /// A CNAME leads to a name of no account in the file.
    Elsewhere {
        end: Name,
    },
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
            let FoundAccount { account, domain, is_new } = self.account(&challenge.target)?;
            if is_new {
                new += 1;
                let record = cname_record(&domain, &account);
                tell(&format!("registered; add this record to the DNS, once:\n\n  {record}\n"));
            }
            found.push((challenge, account));
        }
        // The nameservers of our zone say nothing of the CNAME, which has to be added first.
        if new > 0 && !matches!(self.settings.wait, Some(HookWait::Seen(_))) {
            return Err(HookError::AddRecords(new));
        }
        for (challenge, account) in &found {
            let is_served = self.settings.wait == Some(HookWait::Served);
            self.server_of(account)?.publish(account, &challenge.txt, is_served, self.accounts.path())?;
        }
        found.iter().try_for_each(|(challenge, account)| self.wait(challenge, account))
    }

    /// Retires values. A failure is printed but does not fail the client, because values expire anyway.
    fn retire(&self, challenges: &[HookChallenge]) -> Result<()> {
        for challenge in challenges {
            let retired = match self.look(&challenge.target) {
                Ok(Place::Account(account)) => self.retire_value(&account, challenge),
                Ok(Place::Unregistered(_) | Place::Elsewhere { .. }) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = retired {
                tell(&format!("{error}; the value stays until it expires"));
            }
        }
        Ok(())
    }

    /// Retires a value, and tells what the CA's resolvers did with it: whether the client has succeeded is not always known
    /// here, and after a failure the user looks for the reason.
    fn retire_value(&self, account: &HookAccount, challenge: &HookChallenge) -> Result<()> {
        let server = self.server_of(account)?;
        if !server.retire(account, &challenge.txt)? {
            return Ok(());
        }
        if let Some(verdict) = server.verdict(account, &challenge.txt, challenge.target.domain()) {
            tell(&format!("{}: {verdict}", challenge.target.name()));
        }
        Ok(())
    }

    fn register(&self, targets: &[HookTarget]) -> Result<()> {
        for target in targets {
            let FoundAccount { account, domain, .. } = match self.account(target) {
                // Somebody wants a CNAME in place of the present one.
                Err(HookError::LeadsElsewhere { .. }) => self.register_domain(target.name())?,
                found => found?,
            };
            if domain != *target.name() {
                tell(&format!("_acme-challenge.{} leads to that of {domain}, which needs this record", target.name()));
            }
            say(&cname_record(&domain, &account));
        }
        Ok(())
    }

    /// The account of a target, registered if there is none.
    fn account(&self, target: &HookTarget) -> Result<FoundAccount> {
        let domain = match self.look(target)? {
            Place::Account(account) => {
                return Ok(FoundAccount { account, domain: target.name().clone(), is_new: false });
            }
            Place::Unregistered(domain) => domain,
            Place::Elsewhere { end } => {
                let path = self.accounts.path().to_owned();
                return Err(HookError::LeadsElsewhere { path, domain: target.name().clone(), end });
            }
        };
        self.register_domain(&domain)
    }

    /// Where the values of a target belong. The CNAME decides, as it does for a CA: another account's record could not stand
    /// beside it.
    fn look(&self, target: &HookTarget) -> Result<Place> {
        let own = self.accounts.find(target)?;
        let start = match target {
            HookTarget::Domain(domain) => challenge_name(domain)?,
            HookTarget::Fulldomain(name) => name.clone(),
        };
        let chain = cname::chain(&start, self.settings.resolver, own.is_some())?;
        for name in &chain {
            if let Some(account) = self.accounts.find(&HookTarget::Fulldomain(name.clone()))? {
                return Ok(Place::Account(account));
            }
        }
        // The challenge of another domain, whose own CNAME is not there yet.
        if let Some(domain) = chain.last().and_then(cname::domain_of) {
            let account = self.accounts.find(&HookTarget::Domain(domain.clone()))?;
            return Ok(account.map_or(Place::Unregistered(domain), Place::Account));
        }
        if let Some(account) = own {
            if let Some(end) = chain.last() {
                let HookAccount { fulldomain, .. } = &account;
                tell(&format!(
                    "{start} leads to {end} by CNAME, and not to {fulldomain}, where the value is published"
                ));
            }
            return Ok(Place::Account(account));
        }
        match (target, chain.last()) {
            (HookTarget::Domain(_), Some(end)) => Ok(Place::Elsewhere { end: end.clone() }),
            (HookTarget::Domain(domain), None) => Ok(Place::Unregistered(domain.clone())),
            (HookTarget::Fulldomain(name), _) => {
                let path = self.accounts.path().to_owned();
                Err(HookError::NoSuchFulldomain { path, name: name.clone() })
            }
        }
    }

    fn register_domain(&self, domain: &Name) -> Result<FoundAccount> {
        let found = |account, is_new| FoundAccount { account, domain: domain.clone(), is_new };
        let server = self.server(self.settings.server.clone())?;
        let locked = self.accounts.lock()?;
        // Another hook may have registered the domain in the meantime.
        if let Some(account) = self.accounts.find(&HookTarget::Domain(domain.clone()))? {
            return Ok(found(account, false));
        }
        let reply = server.register(domain, &self.settings)?;
        Ok(found(locked.insert(domain, reply, server.url())?, true))
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

    fn wait(&self, challenge: &HookChallenge, account: &HookAccount) -> Result<()> {
        let Some(HookWait::Seen(patience)) = self.settings.wait else { return Ok(()) };
        let name = match &challenge.target {
            HookTarget::Domain(domain) => challenge_name(domain)?,
            HookTarget::Fulldomain(name) => name.clone(),
        };
        seen::wait(&name, &challenge.txt, self.settings.resolver, patience).map_err(|error| {
            let server = self.server_of(account).ok();
            let verdict = server.and_then(|server| server.verdict(account, &challenge.txt, challenge.target.domain()));
            error.with_verdict(verdict)
        })
    }
}

fn challenge_name(domain: &Name) -> Result<Name> {
    domain.child("_acme-challenge").map_err(|problem| HookError::Domain { text: domain.to_string(), problem })
}

fn cname_record(domain: &Name, account: &HookAccount) -> String {
    format!("_acme-challenge.{domain}. CNAME {}.", account.fulldomain)
}

/// Prints a line. A client that has closed its end is not a failure.
fn say(text: &str) {
    _ = writeln!(std::io::stdout(), "{text}");
}
