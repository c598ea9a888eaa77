//! TSIG on the bytes of messages, judged by what nsupdate signs and dnspython replies.

use super::mutated::{Dice, mutate};
use super::*;
use crate::crypto::tsig::TsigKey;
use crate::crypto::tsig_record::{MalformedTsig, ReplyTsig, Tsig, TsigError, Unverified, VerifiedRequest};
use crate::model::tsig::Algorithm;

const SECRET: &[u8] = b"secret-of-the-tests-32-octets-long";
const KEY_NAME: &str = "11111111-1111-4111-8111-111111111111";
const ROUNDS: usize = 200_000;

/// A request that another implementation has signed, and another implementation's reply.
struct Sample {
    key: TsigKey,
    at: Timestamp,
    request: Vec<u8>,
    reply: Option<Vec<u8>>,
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    Some(digits?.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn samples() -> Vec<Sample> {
    let sample = |line: &str| {
        let [algorithm, at, request, reply] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let algorithm: Algorithm = algorithm.trim_end_matches("-128").parse().unwrap();
        let key = TsigKey::new(algorithm, SECRET);
        let at = Timestamp::from_unix(at.parse().unwrap());
        Sample { key, at, request: bytes(request).unwrap(), reply: bytes(reply) }
    };
    let text = include_str!("tsig.txt");
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(algorithm: Algorithm) -> Sample {
    samples().into_iter().find(|sample| sample.key.algorithm() == algorithm).unwrap()
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_unix(at.as_unix().checked_add_signed(seconds).unwrap())
}

fn verify(packet: &[u8], key: Option<&TsigKey>, now: Timestamp) -> Result<VerifiedRequest, Unverified> {
    Tsig::read(packet).unwrap().expect("a TSIG").verify(key, now)
}

fn error(packet: &[u8], key: Option<&TsigKey>, now: Timestamp) -> Option<TsigError> {
    match verify(packet, key, now) {
        Ok(_) => None,
        Err(Unverified::Rejected(error, _)) => Some(error),
        Err(Unverified::Malformed) => panic!("malformed"),
    }
}

/// A reply that holds only the zone section and its TSIG record.
fn sealed(request: &[u8], seal: &ReplyTsig, now: Timestamp) -> Vec<u8> {
    let question = 12 + question_length(&request[12..]);
    let mut reply = b"before".to_vec();
    reply.extend_from_slice(&request[..question]);
    let message = &mut reply[6..];
    message[2] |= 0x80;
    message[6..12].fill(0);
    seal.append(&mut reply, 6, now);
    assert_eq!(reply.len(), 6 + question + seal.size());
    reply.split_off(6)
}

fn question_length(question: &[u8]) -> usize {
    question.iter().position(|byte| *byte == 0).unwrap() + 5
}

#[test]
fn what_nsupdate_signs_is_verified_and_the_reply_is_what_dnspython_makes() {
    assert_eq!(samples().len(), 6);
    for Sample { key, at, request, reply } in samples() {
        let tsig = Tsig::read(&request).unwrap().unwrap();
        assert_eq!(tsig.key_name(), &name(KEY_NAME));
        let verified = tsig.verify(Some(&key), at).unwrap();
        assert_eq!(verified.expires, later(at, 301));
        let made = sealed(&request, &verified.reply, later(at, 2));
        // The name of one algorithm is written in another case by dnspython.
        let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
        assert_eq!(lower(reply.as_ref().unwrap_or(&made)), lower(&made), "{key:?}");
        let plain = tsig.stripped();
        assert_eq!((&plain[..10], &plain[10..12]), (&request[..10], &[0, 0][..]));
        assert!(request[12..].starts_with(&plain[12..]));
    }
}

/// RFC 8945 section 5.2: key, MAC, time, in this order.
#[test]
fn what_is_wrong_is_told_by_its_error() {
    let Sample { key, at, request, .. } = sample(Algorithm::HmacSha256);
    let (other_secret, other_algorithm) =
        (TsigKey::new(Algorithm::HmacSha256, b"x"), TsigKey::new(Algorithm::HmacSha512, SECRET));
    let much_later = later(at, 1_000);
    for now in [at, much_later] {
        assert_eq!(error(&request, None, now), Some(TsigError::BadKey));
        assert_eq!(error(&request, Some(&other_algorithm), now), Some(TsigError::BadKey));
        assert_eq!(error(&request, Some(&other_secret), now), Some(TsigError::BadSig));
    }
    for (seconds, expected) in
        [(-301, Some(TsigError::BadTime)), (-300, None), (300, None), (301, Some(TsigError::BadTime))]
    {
        assert_eq!(error(&request, Some(&key), later(at, seconds)), expected, "{seconds}");
    }
}

/// RFC 8945 section 5.3.2: only an owner of the key gets a signed error, with the times of the request and the server.
#[test]
fn only_a_wrong_time_is_told_under_a_signature() {
    let Sample { key, at, request, .. } = sample(Algorithm::HmacSha256);
    let rejected = |key: Option<&TsigKey>, now| match verify(&request, key, now) {
        Err(Unverified::Rejected(_, seal)) => (seal.is_signed(), sealed(&request, &seal, now)),
        other => panic!("{other:?}"),
    };
    let now = later(at, 4_000);
    let (is_signed, reply) = rejected(Some(&key), now);
    let times = [&at.as_unix().to_be_bytes()[2..], &[1, 44]].concat();
    let tail = [&[0, 18, 0, 6], &now.as_unix().to_be_bytes()[2..]].concat();
    assert!(is_signed && reply.windows(8).any(|window| window == times) && reply.ends_with(&tail), "{reply:02x?}");
    let (is_signed, reply) = rejected(None, now);
    let tail = [&times[..], &[0, 0], &request[..2], &[0, 17, 0, 0]].concat();
    assert!(!is_signed && reply.ends_with(&tail), "{reply:02x?}");
}

/// All of a message is covered but for its id, which a forwarder changes, and the case of the two names.
#[test]
fn no_bit_of_a_request_can_be_changed() {
    let Sample { key, at, request, .. } = sample(Algorithm::HmacSha1);
    let names: Vec<&[u8]> = vec![b"11111111-1111-4111-8111-111111111111", b"hmac-sha1"];
    let is_name = |at: usize| {
        names.iter().any(|name| {
            let start = request.windows(name.len()).position(|window| window == *name).unwrap();
            (start..start + name.len()).contains(&at)
        })
    };
    for byte in 0..request.len() {
        for bit in 0..8 {
            let mut changed = request.clone();
            changed[byte] ^= 1 << bit;
            let is_verified = matches!(Tsig::read(&changed), Ok(Some(tsig)) if tsig.verify(Some(&key), at).is_ok());
            let is_letter = is_name(byte) && request[byte].is_ascii_alphabetic();
            assert_eq!(is_verified, byte < 2 || (bit == 5 && is_letter), "byte {byte}, bit {bit}");
        }
    }
}

#[test]
fn another_id_under_way_does_no_harm_and_comes_back_with_the_reply() {
    let Sample { key, at, mut request, .. } = sample(Algorithm::HmacSha256);
    request[..2].copy_from_slice(&[7, 8]);
    let verified = verify(&request, Some(&key), at).unwrap();
    let reply = sealed(&request, &verified.reply, at);
    assert_eq!((&reply[..2], &reply[reply.len() - 6..reply.len() - 4]), (&[7, 8][..], &[7, 8][..]));
    assert_eq!(Tsig::read(&request).unwrap().unwrap().stripped()[..2], [7, 8]);
}

/// RFC 8945 section 5.1.
#[test]
fn a_record_out_of_place_or_out_of_shape_is_malformed() {
    let Sample { request, .. } = sample(Algorithm::HmacSha256);
    let start = Tsig::read(&request).unwrap().unwrap().stripped().len();
    let record = request[start..].to_vec();
    let with = |count: u8, bytes: &[u8]| {
        let mut packet = [&request[..start], bytes].concat();
        packet[11] = count;
        packet
    };
    let opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    assert!(Tsig::read(&with(2, &[&opt[..], &record].concat())).unwrap().is_some());
    let changed = |at: usize, byte: u8| {
        let mut record = record.clone();
        record[at] = byte;
        with(1, &record)
    };
    let name = 38;
    for (why, packet) in [
        ("not the last", with(2, &[&record[..], opt].concat())),
        ("twice", with(2, &[&record[..], &record].concat())),
        ("something behind it", with(1, &[&record[..], &[0]].concat())),
        ("class IN", changed(name + 3, 1)),
        ("a TTL", changed(name + 7, 1)),
        ("a MAC longer than the rest", changed(name + 10 + 13 + 8, 255)),
        ("other data longer than the rest", changed(record.len() - 1, 1)),
    ] {
        assert_eq!(Tsig::read(&packet).err(), Some(MalformedTsig), "{why}");
    }
    let mut answer = with(1, &record);
    (answer[11], answer[7]) = (0, 1);
    // The records are counted as one prerequisite too many, which is where the TSIG then stands.
    assert!(matches!(Tsig::read(&answer), Ok(None) | Err(MalformedTsig)));
    assert!(Tsig::read(&request[..start]).unwrap().is_none(), "a record that is counted and not there");
    assert!(Tsig::read(&request[..11]).unwrap().is_none());
}

#[test]
fn a_mac_of_a_length_that_none_has_is_a_format_error() {
    let Sample { key, at, request, .. } = sample(Algorithm::HmacSha256);
    let mac = request.len() - 38..request.len() - 6;
    for length in 0..32 {
        let mut cut = [&request[..mac.start + length], &request[mac.end..]].concat();
        let rdlength = mac.start - 10 - 13 - 2;
        cut[rdlength + 1] -= 32 - length as u8;
        cut[mac.start - 1] = length as u8;
        match verify(&cut, Some(&key), at) {
            Err(Unverified::Malformed) => assert!(length < 16, "{length}"),
            Ok(verified) => {
                assert!(length >= 16, "{length}");
                let whole = verify(&request, Some(&key), at).unwrap();
                assert_eq!(verified.mac.as_bytes(), whole.mac.as_bytes(), "known again in spite of the cut");
            }
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn whatever_comes_in_nothing_breaks_and_nothing_is_verified() {
    let samples = samples();
    let mut dice = Dice(0x7473_6967);
    let mut read = 0;
    let mut verified = 0;
    for _ in 0..ROUNDS {
        let Sample { key, at, request, .. } = &samples[dice.roll(samples.len())];
        let mut packet = request.clone();
        mutate(&mut packet, &mut dice);
        let Ok(Some(tsig)) = Tsig::read(&packet) else { continue };
        read += 1;
        let seal = match tsig.verify(Some(key), *at) {
            Ok(VerifiedRequest { reply: seal, .. }) => {
                let is_same =
                    packet.get(2..).map(<[u8]>::to_ascii_lowercase) == Some(request[2..].to_ascii_lowercase());
                assert!(is_same, "{packet:02x?}");
                verified += 1;
                seal
            }
            Err(Unverified::Rejected(_, seal)) => *seal,
            Err(Unverified::Malformed) => continue,
        };
        let mut reply = b"\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        seal.append(&mut reply, 0, *at);
        assert_eq!(reply.len(), 12 + seal.size());
        Message::from_vec(&reply).unwrap();
    }
    assert!(read > ROUNDS / 10 && verified > 0 && verified < read / 4, "{read} {verified}");
}
