//! A zone-file zonefile to static records, each of which can be asked for; or to an error that names a line.

#![no_main]

use domain::base::iana::Rcode;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName};
use domain::rdata::AllRecordData;
use libfuzzer_sys::fuzz_target;
use txtgate::dns::Transport;
use txtgate::model::name::Name;
use txtgate::zone::Zone;
use txtgate::zone::zonefile::StaticRecords;
use txtgate_fuzz::fixture::{APEX, name, responder_of, source, zone};
use txtgate_fuzz::only;

/// Names that are asked for; more would only be more of the same.
const NAMES: usize = 20;
const ANY: u16 = 255;

fuzz_target!(|text: &str| {
    let nameservers = [name("ns1.example.org")];
    let apex = APEX.parse().expect("a zone's name");
    match StaticRecords::parse(&apex, &nameservers, text) {
        Ok(statics) => can_be_asked_for(statics),
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}", error.line);
            assert!(!error.problem.is_empty());
        }
    }
});

/// Whatever the configuration may hold is answered, and another decoder can read it. Not hickory-proto: it minds what
/// stands in some types' text.
fn can_be_asked_for(statics: StaticRecords) {
    let names: Vec<Name> = statics.names().take(NAMES).cloned().collect();
    let types = |name: &Name| {
        let sets = statics.at(name.as_ref()).unwrap_or_default();
        sets.iter().map(|set| u16::from(set.rtype)).chain([ANY]).collect::<Vec<_>>()
    };
    let questions: Vec<_> = names.iter().flat_map(|name| types(name).into_iter().map(move |t| (name, t))).collect();
    let responder = responder_of(only(Zone { statics: statics.clone(), ..zone() }));
    for (name, rtype) in questions {
        let mut reply = Vec::new();
        responder.respond(&query(name, rtype), source(Transport::Tcp), &mut reply).replied().expect("a reply");
        assert_answer(&reply).unwrap_or_else(|error| panic!("{error}: {name} {rtype} {reply:02x?}"));
    }
}

/// Every record can be read, and stands in an answer that says yes.
fn assert_answer(reply: &[u8]) -> Result<(), ParseError> {
    let message = Message::from_octets(reply).map_err(|_| ParseError::ShortInput)?;
    assert_eq!(message.header().rcode(), Rcode::NOERROR);
    for record in message.answer()?.chain(message.authority()?) {
        record?.to_any_record::<AllRecordData<_, ParsedName<_>>>()?;
    }
    Ok(())
}

fn query(name: &Name, rtype: u16) -> Vec<u8> {
    let header = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], name.as_wire(), &rtype.to_be_bytes(), &[0, 1]].concat()
}
