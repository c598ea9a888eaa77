//! The records at the name where a CA looks for a proof, at each nameserver of that name; and where their CNAMEs lead.
//!
//! [`challenge_target`](super::challenge_target) asks a recursive resolver where a name leads, as is enough before an
//! order. This module finds out why a name leads nowhere, so it asks every nameserver.

use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::name::{Name, Subdomain};
use crate::net::dns_client::{DnsReply, MAX_CHAIN};

use super::iterative::{IterativeError, IterativeResolver, ServerFailure, ServerReply, ZoneCut};
use super::parent::Nameserver;

/// The records from one name on.
#[derive(Debug)]
pub struct ChallengeChain {
    /// The names in a row; each but the last is a CNAME to the next one.
    pub links: Vec<Link>,
    /// What the last one leads to.
    pub end: ChainEnd,
}

/// Where a chain ends.
#[derive(Debug, Clone)]
pub enum ChainEnd {
    /// At a name in a zone of this server.
    Here(Name),
    /// At a name in somebody else's zone, which is not a CNAME: the last link.
    Elsewhere,
    /// At a name that stands earlier in the chain.
    Loop(Name),
    /// Nowhere within the length that is followed.
    Endless,
    /// At a name whose nameservers give no answer.
    Unanswered(Name, IterativeError),
}

/// One name of a chain.
#[derive(Debug)]
pub struct Link {
    /// The name.
    pub name: Name,
    /// The zone that the name lies in.
    pub zone: Arc<ZoneCut>,
    /// What each nameserver of the zone says.
    pub views: Vec<View>,
}

/// What one nameserver says of a name.
#[derive(Debug)]
pub struct View {
    /// The nameserver.
    pub server: Nameserver,
    /// What it shows, or why it shows nothing.
    pub seen: Result<Seen, ServerFailure>,
    /// Its reply with the signatures.
    pub reply: Option<DnsReply>,
}

/// The records of a name, as far as a CA looks at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether the name, or one below it, exists.
    pub exists: bool,
    /// The targets of its CNAME records; more than one is an error of the zone.
    pub cnames: Vec<Name>,
    /// Its TXT values.
    pub texts: Vec<Vec<u8>>,
}

impl Seen {
    fn of(reply: &DnsReply) -> Self {
        let mut seen = Self { exists: !reply.is_name_error(), cnames: reply.cnames(), texts: reply.own_txt_values() };
        seen.cnames.sort_unstable();
        seen.texts.sort_unstable();
        seen
    }

    /// Whether there is neither a CNAME nor a TXT record.
    pub fn is_empty(&self) -> bool {
        self.cnames.is_empty() && self.texts.is_empty()
    }
}

impl Link {
    /// What the nameservers show that answer.
    pub fn seen(&self) -> impl Iterator<Item = (&Nameserver, &Seen)> {
        self.views.iter().filter_map(|view| Some((&view.server, view.seen.as_ref().ok()?)))
    }

    /// What the first nameserver shows that answers.
    pub fn first_seen(&self) -> Option<&Seen> {
        self.seen().map(|(_, seen)| seen).next()
    }

    /// Whether all nameservers that answer show the same.
    pub fn agrees(&self) -> bool {
        let mut all = self.seen().map(|(_, seen)| seen);
        let first = all.next();
        all.all(|seen| Some(seen) == first)
    }

    /// The targets of CNAMEs at any nameserver, each once.
    pub fn targets(&self) -> Vec<Name> {
        let mut targets = Vec::new();
        for target in self.seen().flat_map(|(_, seen)| &seen.cnames) {
            if !targets.contains(target) {
                targets.push(target.clone());
            }
        }
        targets
    }

    /// The TXT values at any nameserver, each once.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        let mut texts: Vec<Vec<u8>> = self.seen().flat_map(|(_, seen)| seen.texts.clone()).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }
}

impl IterativeResolver {
    /// Follows the CNAMEs from a name on, to the first name for which `is_here` holds. Fails if no nameserver answers for
    /// the name itself.
    pub async fn challenge_chain(
        &self,
        name: &Name,
        is_here: impl Fn(&Name) -> bool,
    ) -> Result<ChallengeChain, IterativeError> {
        let mut links = vec![self.link(name).await?];
        loop {
            let targets = links.last().map(Link::targets).unwrap_or_default();
            // Where the nameservers differ, the way that leads here is the one to look at.
            let Some(target) = targets.iter().find(|target| is_here(target)).or(targets.first()).cloned() else {
                return Ok(ChallengeChain { links, end: ChainEnd::Elsewhere });
            };
            let end = if is_here(&target) {
                ChainEnd::Here(target)
            } else if links.iter().any(|link| link.name == target) {
                ChainEnd::Loop(target)
            } else if links.len() > MAX_CHAIN {
                ChainEnd::Endless
            } else {
                match self.link(&target).await {
                    Ok(link) => {
                        links.push(link);
                        continue;
                    }
                    Err(error) => ChainEnd::Unanswered(target, error),
                }
            };
            return Ok(ChallengeChain { links, end });
        }
    }

    async fn link(&self, name: &Name) -> Result<Link, IterativeError> {
        let zone = self.zone_of(name).await?;
        let (texts, cnames) =
            tokio::join!(self.ask_all(&zone, name, RecordType::TXT), self.ask_all(&zone, name, RecordType::CNAME));
        let views = texts.into_iter().zip(cnames).map(|(texts, (_, cnames))| view(&zone, name, texts, cnames.ok()));
        Ok(Link { name: name.clone(), views: views.collect(), zone })
    }

    /// What the zone of a name says of a name beside it that nobody has added: anything but an empty answer comes from a
    /// wildcard.
    pub async fn beside(&self, name: &Name) -> Option<Seen> {
        let sibling = name.parent()?.child(Subdomain::random().as_str()).ok()?;
        let found = self.resolve(&sibling, RecordType::TXT).await.ok()?;
        Some(Seen::of(&found.reply)).filter(|seen| !seen.is_empty())
    }

    /// What is at a name that people confuse with another one.
    pub async fn seen_at(&self, name: &Name) -> Option<Seen> {
        let found = self.resolve(name, RecordType::TXT).await.ok()?;
        Some(Seen::of(&found.reply)).filter(|seen| !seen.is_empty())
    }
}

/// A server may have a CNAME and other records at one name although it must not, and shows what it is asked for.
fn view(zone: &ZoneCut, name: &Name, (server, texts): ServerReply, cnames: Option<DnsReply>) -> View {
    let reply = match texts {
        Ok(reply) => reply,
        Err(error) => return View { server, seen: Err(ServerFailure::from(&error)), reply: None },
    };
    if let Some(failure) = ServerFailure::of(&reply, &zone.apex, name) {
        return View { server, seen: Err(failure), reply: None };
    }
    let mut seen = Seen::of(&reply);
    let usable = cnames.filter(|reply| ServerFailure::of(reply, &zone.apex, name).is_none());
    let more = usable.map(|reply| Seen::of(&reply)).unwrap_or_default();
    seen.cnames.extend(more.cnames);
    seen.cnames.sort_unstable();
    seen.cnames.dedup();
    View { server, seen: Ok(seen), reply: Some(reply) }
}
