//! Our codec and one that is built on hickory-proto write the same bytes, whatever the query.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use txtgate::dns::Responder;
use txtgate_fuzz::reference::{Reference, Said};
use txtgate_fuzz::{only, sources, zones};

static SERVERS: LazyLock<[(Responder, Reference); 2]> =
    LazyLock::new(|| zones().map(|zone| Reference::beside(only(zone))));

fuzz_target!(|packet: &[u8]| -> Corpus {
    let mut outcome = Corpus::Reject;
    for (responder, reference) in &*SERVERS {
        for source in sources() {
            let (ours, theirs) = reference.both(responder, packet, source);
            if theirs != Said::Unclear {
                assert_eq!(ours, theirs, "{:?} {packet:02x?}", source.transport);
                outcome = Corpus::Keep;
            }
        }
    }
    outcome
});
