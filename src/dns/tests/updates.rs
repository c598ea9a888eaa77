//! Signed messages under the limits, and UPDATEs of any content; the rest is seen from outside.

use super::mutated::{Dice, mutate};
use super::store_fixture::StoreFixture;
use super::*;
use crate::crypto::keyring::Keyring;
use crate::crypto::tsig::TsigKey;
use crate::crypto::tsig_record::{Tsig, TsigError};
use crate::dns::limits::ReplyLimits;
use crate::dns::query_event::ReplyOutcome;
use crate::dns::update::Updates;
use crate::dns::{Outcome, ResponsePolicy};
use crate::model::account::{Account, Username};
use crate::model::actor::Actor;
use crate::model::tsig::Algorithm;

const ROUNDS: usize = 100_000;

/// A responder that takes UPDATEs of one account, three replies a second to each network.
struct UpdateSite {
    responder: Responder,
    account: Account,
    key: TsigKey,
    fixture: StoreFixture,
}

impl UpdateSite {
    async fn new() -> Self {
        let fixture = StoreFixture::new();
        let account = fixture.register().await;
        let keyring = Keyring::open(&fixture.folder.path().join("t.db"), false).unwrap();
        let derivation = keyring.derivation(Algorithm::HmacSha256).unwrap();
        fixture.publisher.set_tsig(Actor::OPERATOR, account.username, Some(derivation.clone())).await.unwrap();
        let account = fixture.publisher.account(account.username).unwrap().unwrap();
        assert!(!keyring.put(account.username, Some(account.clone())));
        let key = keyring.key(account.username, &derivation).unwrap();
        let policy = ResponsePolicy { limits: ReplyLimits::new(3), ..ResponsePolicy::plain().unwrap() };
        let responder = responder_with(fixture.publisher.zones().clone(), policy);
        let responder = responder.with_updates(Updates::new(keyring, fixture.publisher.clone(), false));
        Self { responder, account, key, fixture }
    }

    /// An UPDATE that adds a value at the account's name, before it is signed.
    fn update(&self) -> Vec<u8> {
        let mut packet = query("auth.test", 6);
        packet[2] = 0x28;
        packet[9] = 1;
        let owner = query(&self.account.owners[0].to_string(), 16);
        packet.extend_from_slice(&owner[12..]);
        packet.extend_from_slice(&[&[0, 0, 0, 60, 0, 44, 43][..], &[b'v'; 43]].concat());
        packet
    }

    fn signed(&self, packet: &[u8]) -> Vec<u8> {
        sign(packet, self.account.username, &self.key)
    }
}

/// Signs a message now, by laying out its TSIG record and having the reader tell what that covers.
fn sign(packet: &[u8], who: Username, key: &TsigKey) -> Vec<u8> {
    let name = query(&who.to_string(), 250);
    let name = &name[12..name.len() - 4];
    let now = Clock::start(None).now().as_unix().to_be_bytes();
    let algorithm = key.algorithm().as_wire();
    let times = [&now[2..], &[1, 44]].concat();
    let covered = [packet, name, &[0, 255, 0, 0, 0, 0], algorithm, &times, &[0; 4]].concat();
    let mac = key.mac(&[&covered]);
    let length = mac.as_bytes().len() as u16;
    let rdata = [algorithm, &times, &length.to_be_bytes(), mac.as_bytes(), &packet[..2], &[0; 4]].concat();
    let record = [name, &[0, 250, 0, 255, 0, 0, 0, 0], &(rdata.len() as u16).to_be_bytes(), &rdata].concat();
    let mut signed = [packet, &record].concat();
    signed[11] += 1;
    signed
}

fn from_afar() -> MessageSource {
    MessageSource::of("192.0.2.9".parse().unwrap(), Transport::Udp)
}

#[tokio::test]
async fn past_the_limit_wrong_signatures_get_nothing_and_right_ones_go_on() {
    let site = UpdateSite::new().await;
    let other = TsigKey::new(Algorithm::HmacSha256, b"another");
    let question = query("auth.test", 6);
    for wrong in [sign(&question, site.account.username, &other), sign(&question, Username::random(), &site.key)] {
        let ask = || site.responder.respond(&wrong, from_afar(), &mut Vec::new()).replied().is_some();
        let replied = (0..20).filter(|_| ask()).count();
        assert!(replied <= 3, "{replied}");
    }
    for _ in 0..20 {
        let mut out = Vec::new();
        let right = site.signed(&query("nothing.auth.test", 16));
        let responded = site.responder.respond(&right, from_afar(), &mut out).replied().unwrap();
        assert_eq!((responded.rcode, responded.is_truncated), (ResponseCode::NXDomain, false));
        assert!(Tsig::read(&out).unwrap().is_some());
    }
}

/// An UPDATE that waits for the disk has no reply yet, and its outcome differs from that of an immediate reply.
#[tokio::test]
async fn an_update_is_handed_out_once() {
    let site = UpdateSite::new().await;
    let signed = site.signed(&site.update());
    let mut out = Vec::new();
    let Outcome::Update(update) = site.responder.respond(&signed, from_afar(), &mut out) else { panic!("at once") };
    assert!(matches!(site.responder.respond(&signed, from_afar(), &mut out), Outcome::Silence), "in progress");
    assert!(out.is_empty());
    let (tell, told) = tokio::sync::oneshot::channel();
    update.carry_out(move |reply| tell.send(reply.to_vec()).unwrap());
    let reply = told.await.unwrap();
    assert_eq!((reply[2], reply[3] & 0xf), (0xa8, 0));
    let values = site.fixture.publisher.values(&site.account.owners[0]);
    assert_eq!(values.len(), 1);
    site.responder.respond(&signed, from_afar(), &mut out).replied().expect("the same reply again");
}

/// A client that hears nothing sends the same again and again.
#[tokio::test]
async fn an_update_whose_task_panics_is_answered_with_servfail() {
    let site = UpdateSite::new().await;
    let signed = site.signed(&site.update());
    let mut out = Vec::new();
    let Outcome::Update(update) = site.responder.respond(&signed, from_afar(), &mut out) else { panic!("at once") };
    let reply = update.reply_after_panic().await;
    assert_eq!((reply[2], reply[3] & 0xf), (0xa8, 2));
    assert!(Tsig::read(&reply).unwrap().is_some(), "signed, as the request was");
    let outcome = site.responder.respond(&signed, from_afar(), &mut out);
    assert!(matches!(outcome, Outcome::Update(_)), "the next attempt is carried out");
}

async fn next(watch: &mut crate::dns::watch::NameWatch) -> crate::dns::query_event::QueryEvent {
    tokio::time::timeout(std::time::Duration::from_secs(5), watch.next()).await.expect("an event").unwrap()
}

async fn carry_out(outcome: Outcome) -> Vec<u8> {
    let Outcome::Update(update) = outcome else { panic!("{outcome:?}") };
    let (tell, told) = tokio::sync::oneshot::channel();
    update.carry_out(move |reply| tell.send(reply.to_vec()).unwrap());
    told.await.unwrap()
}

/// The event comes with the reply, which is when it is known what was sent, and to the watcher of the changed name.
#[tokio::test]
async fn the_final_reply_to_an_update_is_an_event_with_its_key() {
    let site = UpdateSite::new().await;
    let owner = name(&site.account.owners[0].to_string());
    let mut watch = site.responder.replies.watchers.watch(owner.clone()).unwrap();
    let signed = site.signed(&site.update());
    let outcome = site.responder.respond(&signed, from_afar(), &mut Vec::new());
    let again = site.responder.respond(&signed, from_afar(), &mut Vec::new());
    assert!(matches!(again, Outcome::Silence));
    let event = next(&mut watch).await;
    assert_eq!((event.outcome, event.size), (ReplyOutcome::Unanswered, 0), "its sender gets one reply");
    let reply = carry_out(outcome).await;
    let event = next(&mut watch).await;
    assert_eq!((event.opcode, event.rcode, event.size), (5, ResponseCode::NoError, reply.len()));
    assert_eq!((event.outcome, &event.updated[..]), (ReplyOutcome::Sent, &[owner][..]));
    assert_eq!(event.question.unwrap().name.to_string(), "auth.test");
    let key = event.key.unwrap();
    assert_eq!((key.name.to_string(), key.error), (site.account.username.to_string(), None));
}

#[tokio::test]
async fn refused_updates_are_events_of_the_name_that_they_would_change() {
    let site = UpdateSite::new().await;
    let mut watch = site.responder.replies.watchers.watch(name(&site.account.owners[0].to_string())).unwrap();
    let update = site.update();
    let other = TsigKey::new(Algorithm::HmacSha256, b"another");
    for (packet, rcode, error) in [
        (update.clone(), ResponseCode::Refused, None),
        (sign(&update, site.account.username, &other), ResponseCode::NotAuth, Some(Some(TsigError::BadSig))),
        (sign(&update, Username::random(), &other), ResponseCode::NotAuth, Some(Some(TsigError::BadKey))),
        (site.signed(&edns_1(update.clone())), ResponseCode::BADVERS, Some(None)),
    ] {
        let mut out = Vec::new();
        let responded = site.responder.respond(&packet, from_afar(), &mut out).replied().unwrap();
        let event = next(&mut watch).await;
        assert_eq!((responded.rcode, event.rcode, event.size), (rcode, rcode, out.len()));
        assert_eq!(event.key.map(|key| key.error), error, "{rcode}");
    }
}

/// The TSIG record comes behind the padding, and counts with it.
#[tokio::test]
async fn signed_replies_over_tls_are_padded_with_their_signature() {
    let site = UpdateSite::new().await;
    let over_tls = MessageSource { transport: Transport::Tls, ..from_afar() };
    let padded = |packet: Vec<u8>| with_opt(packet, 1_232, 0, 0, b"\x00\x0c\x00\x00");
    let mut replies = Vec::new();
    let other = TsigKey::new(Algorithm::HmacSha256, b"another");
    for question in [query("auth.test", 6), query(&site.account.owners[0].to_string(), 16), query("auth.test", 252)] {
        for packet in [site.signed(&padded(question.clone())), sign(&padded(question), site.account.username, &other)] {
            let mut out = Vec::new();
            site.responder.respond(&packet, over_tls, &mut out).replied().unwrap();
            replies.push(out);
        }
    }
    let signed = site.signed(&padded(site.update()));
    replies.push(carry_out(site.responder.respond(&signed, over_tls, &mut Vec::new())).await);
    for reply in replies {
        assert!(Tsig::read(&reply).unwrap().is_some());
        assert_eq!(reply.len(), 468, "{reply:02x?}");
    }
}

/// Over UDP it was cut off and got an unsigned FORMERR, and on a stream it ended the connection.
#[tokio::test]
async fn an_update_of_any_length_is_carried_out() {
    let site = UpdateSite::new().await;
    let value = |number: usize| format!("{number:v>43}");
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Quic] {
        // 70 values with their names written out, and a record that makes it as long as a datagram can be.
        let mut packet = site.update();
        let zone = query("auth.test", 6).len();
        packet.truncate(zone);
        packet[9] = 70;
        let owner = query(&site.account.owners[0].to_string(), 16)[12..].to_vec();
        for number in 0..70 {
            packet.extend_from_slice(&[&owner[..], &[0, 0, 0, 60, 0, 44, 43], value(number).as_bytes()].concat());
        }
        packet[11] = 1;
        packet.extend_from_slice(b"\x00\xff\x00\x00\x01\x00\x00\x00\x00");
        let rest = 65_000 - packet.len() - 2;
        packet.extend_from_slice(&(rest as u16).to_be_bytes());
        packet.resize(65_000, transport as u8);
        let from = MessageSource { transport, ..from_afar() };
        let reply = carry_out(site.responder.respond(&site.signed(&packet), from, &mut Vec::new())).await;
        assert_eq!(reply[3] & 0xf, 0, "{transport:?}");
        assert!(Tsig::read(&reply).unwrap().is_some(), "signed, as the request was");
        assert_eq!(site.fixture.publisher.values(&site.account.owners[0]).len(), 70);
    }
}

/// Each may cost a look-up in the store, and a message has room for thousands.
#[tokio::test]
async fn an_update_of_very_many_records_is_refused() {
    let site = UpdateSite::new().await;
    let update = |records: u16| {
        let mut packet = query("auth.test", 6);
        packet[2] = 0x28;
        // A prerequisite, and a value with each of the others: the name is used, whatever is in it.
        packet[7] = 1;
        packet.extend_from_slice(b"\xc0\x0c\x00\xff\x00\xff\x00\x00\x00\x00\x00\x00");
        packet[8..10].copy_from_slice(&(records - 1).to_be_bytes());
        let owner_at = (0xc000 | packet.len() as u16).to_be_bytes();
        for number in 1..records {
            let value = format!("{number:v>43}");
            let owner = query(&site.account.owners[0].to_string(), 16)[12..].to_vec();
            let (name, rest) = owner.split_at(owner.len() - 4);
            let name = if number == 1 { name } else { &owner_at };
            packet.extend_from_slice(&[name, rest, &[0, 0, 0, 60, 0, 44, 43], value.as_bytes()].concat());
        }
        site.signed(&edns(packet))
    };
    let over_tcp = MessageSource { transport: Transport::Tcp, ..from_afar() };
    let reply = carry_out(site.responder.respond(&update(1_024), over_tcp, &mut Vec::new())).await;
    assert_eq!(reply[3] & 0xf, 0);
    assert_eq!(site.fixture.publisher.values(&site.account.owners[0]).len(), 100);
    let mut out = Vec::new();
    site.responder.respond(&update(1_025), over_tcp, &mut out).replied().unwrap();
    assert!(out[3] & 0xf == 5 && String::from_utf8_lossy(&out).contains("over 1024"), "{out:02x?}");
}

fn edns_1(packet: Vec<u8>) -> Vec<u8> {
    with_opt(packet, 1_232, 1, 0, &[])
}

/// An account that is disabled while its UPDATE waits was once told that the name is not its own.
#[tokio::test]
async fn a_disabled_account_hears_that_it_is_disabled() {
    let site = UpdateSite::new().await;
    let signed = site.signed(&edns(site.update()));
    let outcome = site.responder.respond(&signed, from_afar(), &mut Vec::new());
    site.fixture.publisher.disable(Actor::OPERATOR, site.account.username).await.unwrap();
    let reply = carry_out(outcome).await;
    assert_eq!(reply[3] & 0xf, 5);
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("this account is disabled") && !text.contains("not a name"), "{text}");
}

#[tokio::test]
async fn whatever_is_signed_nothing_breaks() {
    let site = UpdateSite::new().await;
    let plain = site.update();
    let mut dice = Dice(0x7570_6461_7465);
    let mut waiting = 0;
    let mut rcodes = [0; 16];
    for round in 0..ROUNDS {
        let mut packet = plain.clone();
        mutate(&mut packet, &mut dice);
        if packet.len() < 12 || packet[11] > 200 {
            continue;
        }
        let mut out = Vec::new();
        // Not through the net that turns a panic into SERVFAIL: here it must fail the test.
        match site.responder.respond_or_panic(&site.signed(&packet), from_afar(), &mut out) {
            Outcome::Silence => {}
            Outcome::Replied(responded) => {
                Message::from_vec(&out).unwrap_or_else(|error| panic!("{error}: {packet:02x?} -> {out:02x?}"));
                rcodes[usize::from(responded.rcode.low())] += 1;
            }
            // Dropped, so that it may come again.
            Outcome::Update(_) => waiting += 1,
            Outcome::Transfer(_) => panic!("nobody may transfer: {packet:02x?}"),
        }
        assert!(round < 1_000 || waiting > 0, "some are still right");
    }
    let [_, format_error, fault, _, not_implemented, refused, _, _, _, not_ours, not_in_zone, ..] = rcodes;
    let reached = [waiting, format_error, not_implemented, refused, not_ours, not_in_zone];
    assert!(reached.iter().all(|count| *count > ROUNDS / 2_000), "{waiting} {rcodes:?}");
    assert_eq!(fault, 0);
}
