//! From the root to an answer.

use std::pin::Pin;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{RData, RecordType};

use crate::model::name::Name;
use crate::net::dns_client::{DnsReply, LookupError, MAX_CHAIN};

use super::error::IterativeError;
use super::resolver::IterativeResolver;
use super::zone_cut::ZoneCut;

/// The most zones between the root and a name that are followed.
const MAX_CUTS: usize = 16;

/// An answer with authority.
#[derive(Debug)]
pub struct Resolved {
    /// The zone whose nameservers gave the answer.
    pub zone: Arc<ZoneCut>,
    /// The answer.
    pub reply: DnsReply,
}

type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Resolved, IterativeError>> + Send + 'a>>;

impl IterativeResolver {
    /// The answer for a name, CNAMEs not followed. A name that does not exist is an answer as well.
    pub async fn resolve(&self, name: &Name, rtype: RecordType) -> Result<Resolved, IterativeError> {
        self.resolve_at(name, rtype, 0).await
    }

    /// The same as a part of a look-up of nameservers' addresses.
    pub(super) fn resolve_at<'a>(&'a self, name: &'a Name, rtype: RecordType, depth: usize) -> Resolving<'a> {
        Box::pin(async move {
            let endless = || IterativeError::Endless(name.clone());
            let mut zone = self.closest_known(name, rtype).ok_or_else(endless)?;
            for _ in 0..MAX_CUTS {
                let _turn = self.turn(&zone, name).await;
                zone = self.closest_known(name, rtype).filter(|known| known.apex.is_in(&zone.apex)).unwrap_or(zone);
                let reply = self.ask_zone(&zone, name, rtype).await?;
                match reply.referral() {
                    Some(apex) => zone = self.cut(&apex, &reply, &zone, depth).await,
                    None => return Ok(Resolved { zone, reply }),
                }
            }
            Err(endless())
        })
    }

    /// The zone that a name lies in.
    pub async fn zone_of(&self, name: &Name) -> Result<Arc<ZoneCut>, IterativeError> {
        let mut at = name.clone();
        loop {
            let found = self.resolve(&at, RecordType::SOA).await?;
            // A CNAME hides the SOA record of its zone.
            if !found.reply.cnames().is_empty()
                && at != found.zone.apex
                && let Some(above) = at.parent()
            {
                at = above;
                continue;
            }
            let apex = found.reply.soa_zone().filter(|apex| name.is_in(apex) && apex.is_in(&found.zone.apex));
            return match apex.filter(|apex| *apex != found.zone.apex) {
                Some(apex) => self.zone_beside(&apex, &found.zone).await,
                None => Ok(found.zone),
            };
        }
    }

    /// A zone whose nameservers are those of its parent as well: they answer for it, and refer to nobody.
    async fn zone_beside(&self, apex: &Name, parent: &Arc<ZoneCut>) -> Result<Arc<ZoneCut>, IterativeError> {
        let reply = self.ask_zone(parent, apex, RecordType::NS).await?;
        if reply.nameservers_of(apex).is_empty() {
            return Ok(parent.clone());
        }
        Ok(self.cut(apex, &reply, parent, 0).await)
    }

    /// The CAA records at a name, CNAMEs followed.
    pub async fn caa(&self, name: &Name) -> Result<Vec<CAA>, LookupError> {
        self.records(name, RecordType::CAA, |data| if let RData::CAA(caa) = data { Some(caa.clone()) } else { None })
            .await
    }

    /// The TXT records at a name, CNAMEs followed; each with its character-strings joined.
    pub async fn txt(&self, name: &Name) -> Result<Vec<Vec<u8>>, LookupError> {
        let texts = self.records(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
        texts.await
    }

    async fn records<T>(
        &self,
        name: &Name,
        rtype: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let mut at = name.clone();
        for _ in 0..=MAX_CHAIN {
            let found = self.resolve(&at, rtype).await;
            let reply = found.map_err(|error| error.as_lookup_error(&at, rtype))?.reply;
            if let Some(target) = reply.cnames().into_iter().next() {
                at = target;
                continue;
            }
            let records: Vec<T> = reply.answers().iter().filter_map(|record| read(&record.data)).collect();
            return match (records.is_empty(), reply.rcode()) {
                (false, _) => Ok(records),
                (true, ResponseCode::NXDomain) => Err(LookupError::NameError(at)),
                (true, _) => Err(LookupError::NoData { name: at, rtype }),
            };
        }
        Err(LookupError::LongChain(name.clone()))
    }
}
