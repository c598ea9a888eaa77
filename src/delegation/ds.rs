//! The DS records that a server of the parent zone has for a zone of this server.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::model::name::Name;
use crate::net::dns_client::{DnsClient, Protocol};
use crate::zone::signing::key::ZoneKey;

use super::finding::{Assessment, Finding, question_at};

/// A DS record set: its TTL and the RDATA of each record. Empty if the zone has no DS records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsSet(Vec<(u32, Vec<u8>)>);

impl DsSet {
    /// Asks a server of the parent zone, over TCP: the reply is complete however long it is. An error is always unknown:
    /// only an authoritative answer shows that there are no DS records.
    pub async fn ask(client: &DnsClient, server: SocketAddr, apex: &Name) -> Result<Self, Box<Finding>> {
        let reply = match client.ask(server, Protocol::Tcp, apex, RecordType::DS).await {
            Ok(reply) => reply,
            Err(error) => return Err(unknown(server, apex, format!("no answer from the parent {server}: {error}"))),
        };
        match reply.rcode() {
            ResponseCode::NoError => {}
            rcode => {
                return Err(unknown(server, apex, format!("the parent {server} says {rcode} to the DS of {apex}")));
            }
        }
        let records = reply.rdatas(RecordType::DS);
        if records.is_empty() && !reply.is_authoritative() {
            let answer = format!("{server} is not authoritative for the parent of {apex}");
            return Err(unknown(server, apex, format!("{answer}; name a nameserver of the parent zone")));
        }
        Ok(Self(records))
    }

    /// Whether there are no DS records.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many seconds resolvers may cache the set.
    pub fn ttl(&self) -> Option<u32> {
        self.0.iter().map(|(ttl, _)| *ttl).max()
    }

    /// Whether the set is made from this key and no other. Other digests of the same key do no harm.
    pub fn is_of(&self, key: &ZoneKey, apex: &Name) -> bool {
        let ds = key.ds(apex);
        let tag_and_algorithm = &ds[..3];
        self.0.iter().all(|(_, rdata)| rdata.starts_with(tag_and_algorithm))
            && self.0.iter().any(|(_, rdata)| *rdata == ds)
    }
}

fn unknown(server: SocketAddr, apex: &Name, answer: String) -> Box<Finding> {
    Finding::new(Assessment::Unknown, apex, question_at(RecordType::DS, apex, server), answer).into()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;

    use crate::delegation::tests::nameserver;
    use crate::zone::signing::key::Algorithm;

    use super::*;

    fn apex() -> Name {
        "auth.example.org".parse().unwrap()
    }

    #[test]
    fn the_parents_ds_must_be_of_this_key_alone() {
        let apex = apex();
        let [one, other] = [(); 2].map(|()| ZoneKey::generate(Algorithm::EcdsaP256).unwrap());
        let set = |rdatas: &[Vec<u8>]| DsSet(rdatas.iter().map(|rdata| (300, rdata.clone())).collect());
        let mut sha384 = one.ds(&apex);
        (sha384[3], sha384[4]) = (4, 0);
        assert!(set(&[one.ds(&apex)]).is_of(&one, &apex) && set(&[sha384.clone(), one.ds(&apex)]).is_of(&one, &apex));
        for wrong in [&[][..], &[sha384], &[one.ds(&apex), other.ds(&apex)], &[other.ds(&apex)]] {
            assert!(!set(wrong).is_of(&one, &apex));
        }
        assert_eq!(set(&[one.ds(&apex)]).ttl(), Some(300));
    }

    async fn ask(reply: impl Fn(&mut Message) + Send + Sync + 'static) -> Result<DsSet, Box<Finding>> {
        let port = nameserver(|_| (), reply).await;
        DsSet::ask(&DnsClient::new(&[]), ([127, 0, 0, 1], port).into(), &apex()).await
    }

    /// A step of a key rollover relies on it: a zone whose DS is believed to be gone may lose its key.
    #[tokio::test]
    async fn ds_records_that_cannot_be_looked_up_are_unknown_and_not_missing() {
        let none = ask(|message| message.metadata.authoritative = true).await.unwrap();
        assert!(none.is_empty());
        for (unknown, found) in [
            (ask(|_| ()).await, "is not authoritative for the parent of auth.example.org"),
            (ask(|message| message.metadata.response_code = ResponseCode::ServFail).await, "says Server Failure"),
            (ask(|message| message.metadata.id = !message.metadata.id).await, "no answer from the parent"),
        ] {
            let finding = unknown.unwrap_err();
            assert!(finding.is_unknown() && finding.answer.contains(found), "{finding:?}");
        }
    }
}
