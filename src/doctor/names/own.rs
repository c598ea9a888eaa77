//! What this server has: zones, owners, accounts.

use std::net::IpAddr;

use crate::config::Config;
use crate::delegation::iterative::{IterativeError, ZoneCut};
use crate::delegation::nameservers::configured_addresses;
use crate::delegation::parent::Nameserver;
use crate::model::account::{Account, AccountStatus};
use crate::model::name::{Name, Owner, OwnerLabel, Subdomain, ZoneName, domain_of};
use crate::net::interfaces;
use crate::publisher::Publisher;
use crate::zone::owner_state::OwnerState;
use crate::zone::zonefile::cname_target;
use crate::zone::{zone_named, zone_of};

use super::super::examination::Examination;

/// The most accounts that are read in search of the one for a domain.
const MAX_ACCOUNTS: usize = 100;

/// What this server has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OwnServer {
    zones: Vec<ZoneName>,
    nameservers: Vec<Name>,
    /// The addresses at which it is asked.
    addresses: Vec<IpAddr>,
    publisher: Option<Publisher>,
    /// The domains of the certificates of the configuration.
    certified: Vec<Name>,
}

/// Who gets certificates for a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// This server, with its own account at the CA and by its own validation method.
    Server,
    /// The client of an account, at a CA that this server does not know, by dns-01.
    Client,
}

/// What an owner's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerStatus {
    /// The owner is answered, with so many live values.
    Served { account: Option<String>, values: usize },
    /// Its account is disabled.
    Disabled { account: String },
    /// Its account was deleted.
    Deleted,
    /// Nobody has ever owned the name.
    Unknown,
    /// The configuration has records there.
    Static,
    /// The database is not open.
    NotSeen,
}

impl OwnServer {
    pub fn of(examination: &Examination) -> Self {
        let config: &Config = &examination.config;
        Self {
            zones: config.zones.iter().map(|zone| zone.name.clone()).collect(),
            nameservers: config.zones.iter().flat_map(|zone| zone.nameservers.clone()).collect(),
            addresses: addresses(examination),
            publisher: examination.publisher.clone(),
            certified: config.certificates.iter().flat_map(|one| &one.names).map(|name| name.base().clone()).collect(),
        }
    }

    /// The zone of this server that a name lies in.
    pub fn zone_at(&self, name: &Name) -> Option<&ZoneName> {
        self.zones.iter().find(|zone| name.is_in(zone.apex()))
    }

    /// Whether a chain of CNAMEs ends at a name: whether it lies in a zone of this server, whose configuration has no CNAME
    /// there.
    pub fn ends_at(&self, name: &Name) -> bool {
        let Some(publisher) = &self.publisher else { return self.zone_at(name).is_some() };
        let zones = publisher.zones().load();
        let Some(zone) = zone_of(&zones, name.as_ref()) else { return false };
        zone.statics.at(name.as_ref()).and_then(cname_target).is_none()
    }

    /// Whether a nameserver's name is one of those of this server.
    pub fn is_nameserver(&self, name: &Name) -> bool {
        self.nameservers.contains(name) || self.zone_at(name).is_some()
    }

    /// Whether a nameserver is this server, by its name or its address.
    pub fn is_asked_at(&self, server: &Nameserver) -> bool {
        self.addresses.contains(&server.address) || self.is_nameserver(&server.name)
    }

    /// The zone that is delegated to this server, which does not have it, if that is why a walk has ended.
    pub fn unconfigured_zone<'a>(&self, error: &'a IterativeError) -> Option<&'a ZoneCut> {
        let IterativeError::Unanswered { zone, failures } = error else { return None };
        failures.iter().any(|(server, failure)| failure.is_lame() && self.is_asked_at(server)).then_some(zone)
    }

    /// The owner that a name stands for, whether it exists or not.
    pub fn owner_at(&self, name: &Name) -> Option<Owner> {
        Owner::at(name, self.zone_at(name)?)
    }

    /// The zone that an example of a name is given in.
    pub fn first_zone(&self) -> Option<&ZoneName> {
        self.zones.iter().find(|zone| !zone.is_challenge())
    }

    /// The owner with this label in any of the zones, if somebody has it.
    pub fn owner_labelled(&self, label: &[u8]) -> Option<Owner> {
        let publisher = self.publisher.as_ref()?;
        let label: Subdomain = std::str::from_utf8(label).ok()?.parse().ok()?;
        let zones = publisher.zones().load();
        let has =
            |zone: &&crate::zone::Zone| !zone.name.is_challenge() && zone.live.at(label.as_str().as_bytes()).is_some();
        let zone = zones.iter().find(has)?;
        Some(Owner::subdomain(zone.name.clone(), label))
    }

    /// What an owner's name stands for. Reads the database.
    pub async fn status(&self, owner: &Owner) -> OwnerStatus {
        let Some(publisher) = self.publisher.clone() else { return OwnerStatus::NotSeen };
        let state = {
            let zones = publisher.zones().load();
            let name: Option<Name> = owner.to_string().parse().ok();
            let Some(zone) = zone_named(&zones, &owner.zone) else { return OwnerStatus::Unknown };
            let statics = name.as_ref().and_then(|name| zone.statics.at(name.as_ref()));
            if statics.is_some() && owner.label != OwnerLabel::Apex {
                return OwnerStatus::Static;
            }
            zone.live.at(owner.label.below_apex().as_bytes())
        };
        let account = blocking({
            let (publisher, owner) = (publisher.clone(), owner.clone());
            move || publisher.account_at(&owner).ok().flatten()
        })
        .await;
        match (state, account) {
            (None, _) if owner.is_daemons() => OwnerStatus::Served { account: None, values: 0 },
            (None, _) => {
                let asked = owner.clone();
                let has_tombstone = publisher.read(move |rows| rows.has_tombstone(&asked)).await.unwrap_or(false);
                if has_tombstone { OwnerStatus::Deleted } else { OwnerStatus::Unknown }
            }
            (Some(OwnerState::Disabled), Some(account)) => match account.status {
                AccountStatus::Deleted { .. } => OwnerStatus::Deleted,
                AccountStatus::Active | AccountStatus::Disabled => {
                    OwnerStatus::Disabled { account: account.username.to_string() }
                }
            },
            (Some(_), account) => OwnerStatus::Served {
                account: account.map(|account| shown(&account)),
                values: publisher.values(owner).len(),
            },
        }
    }

    /// The owner to which the name of a proof should lead: the one of a managed certificate, or that of the one account for
    /// the domain. `None` if there is no such account, or more than one. Reads the database.
    pub async fn expected_owner(&self, base: &Name) -> Option<Owner> {
        if let Some(owner) = self.managed_owner(base).await {
            return Some(owner);
        }
        let accounts = self.accounts_for(base).await;
        let [account] = accounts.as_slice() else { return None };
        account.given().first().copied().cloned()
    }

    /// Who gets certificates for a domain; this server, if nobody is known to. Reads the database.
    pub async fn holder(&self, base: &Name) -> Holder {
        if self.certified.contains(base) || self.managed_owner(base).await.is_some() {
            return Holder::Server;
        }
        if self.accounts_for(base).await.is_empty() { Holder::Server } else { Holder::Client }
    }

    async fn managed_owner(&self, base: &Name) -> Option<Owner> {
        let asked = base.clone();
        let owner = self.publisher.as_ref()?.read(move |rows| rows.managed(&asked)).await.ok()??;
        self.zones.contains(&owner.zone).then_some(owner)
    }

    /// The accounts in use for a domain.
    async fn accounts_for(&self, base: &Name) -> Vec<Account> {
        let Some(publisher) = self.publisher.clone() else { return Vec::new() };
        let base = base.clone();
        let found = blocking(move || {
            let mut accounts = Vec::new();
            let visit = |account: Account| {
                if is_for(&account, &base) {
                    accounts.push(account);
                }
                accounts.len() < MAX_ACCOUNTS
            };
            publisher.each_account_with(&base.to_string(), visit).ok()?;
            Some(accounts)
        });
        found.await.unwrap_or_default()
    }
}

/// The domains that an account is for: those of its aliases, and the one that its note begins with.
pub fn domains_of(account: &Account) -> Vec<Name> {
    let first = account.note.as_str().split([' ', ',', ';', ':']).next().unwrap_or_default();
    let aliases = account.aliases.iter().filter_map(|own| domain_of(&own.alias.to_string()).ok());
    aliases.chain(domain_of(first)).collect()
}

/// Whether an account is in use, and for a domain.
fn is_for(account: &Account, domain: &Name) -> bool {
    account.status == AccountStatus::Active && domains_of(account).contains(domain)
}

/// The addresses that the zones have for nameservers, and those that DNS listens on.
fn addresses(examination: &Examination) -> Vec<IpAddr> {
    let zones = examination.config.zones.iter();
    let records = zones.flat_map(|zone| configured_addresses(&zone.statics, &zone.nameservers));
    let mut addresses: Vec<IpAddr> = records.map(|server| server.address).collect();
    let listeners = examination.daemon.iter().flat_map(|daemon| &daemon.dns).map(|listener| listener.ip());
    for listener in listeners {
        if listener.is_unspecified() {
            let of_machine = interfaces::all().into_iter().map(|(address, _)| address);
            addresses.extend(of_machine.filter(|address| listener.is_ipv6() || address.is_ipv4()));
        } else {
            addresses.push(listener);
        }
    }
    addresses
}

fn shown(account: &Account) -> String {
    match account.note.as_str() {
        "" => account.username.to_string(),
        note => format!("{} ({note})", account.username),
    }
}

/// Runs what blocks off the async threads. A panic there is an absence.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
