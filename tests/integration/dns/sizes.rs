//! Answers that fit, and answers that do not.

use crate::harness::dns::{Change, TXT, ask, ask_tcp, query};
use crate::harness::http::connect;
use crate::harness::{Account, Process, Settings, value};

fn with_values(count: u64) -> (Process, Account) {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    let mut wire = connect(daemon.api());
    for number in 0..count {
        assert_eq!(account.update_on(&mut wire, &value(number)).unwrap().status, 200);
    }
    (daemon, account)
}

#[test]
fn sixty_values_are_truncated_to_nothing_over_udp_and_whole_over_tcp() {
    let (daemon, account) = with_values(60);
    let asked = query(&account.fulldomain, TXT);
    for (message, opt) in [(asked.clone(), 0), (asked.clone().edns(512), 1), (asked.clone().edns(1_232), 1)]
        .into_iter()
        .chain([4_096, 65_535].map(|size| (asked.clone().edns(size), 1)))
    {
        let reply = ask(daemon.dns(), &message);
        assert!(reply.is_truncated() && reply.is_authoritative(), "{message:02x?}");
        assert_eq!(reply.counts(), [1, 0, 0, opt], "no part of a record set");
        assert_eq!(reply.bytes.len(), asked.len() + usize::from(opt) * 11, "not an byte more");
    }
    for message in [asked.clone(), asked.edns(512)] {
        let reply = ask_tcp(daemon.dns(), &message);
        let expected: Vec<String> = (0..60).rev().map(value).collect();
        assert_eq!((reply.is_truncated(), reply.txts()), (false, expected));
    }
}

/// A value takes 56 bytes, and header and question 68: 7 of them fit 512 bytes, and 20 the 1,221 beside OPT.
#[test]
fn answers_are_whole_up_to_their_limit_and_truncated_past_it() {
    let (daemon, account) = with_values(7);
    let asked = query(&account.fulldomain, TXT);
    let sizes = |message: &[u8]| {
        let reply = ask(daemon.dns(), message);
        (reply.is_truncated(), reply.bytes.len(), reply.txts().len())
    };
    assert_eq!(sizes(&asked), (false, asked.len() + 7 * 56, 7));
    // With OPT there are 11 bytes less, and still room; a size below 512 means 512 (RFC 6891 section 6.2.3).
    assert_eq!(sizes(&asked.clone().edns(0)), (false, asked.len() + 7 * 56 + 11, 7));
    account.publish(daemon.api(), &value(7));
    assert!(sizes(&asked).0 && sizes(&asked.clone().edns(511)).0);
    assert!(!sizes(&asked.clone().edns(1_232)).0);
    for number in 8..20 {
        account.publish(daemon.api(), &value(number));
    }
    let (truncated, length, values) = sizes(&asked.clone().edns(4_096));
    assert_eq!((truncated, values), (false, 20), "{length}");
    account.publish(daemon.api(), &value(20));
    assert!(sizes(&asked.edns(4_096)).0, "1232 is the most, whatever the client takes");
}

#[test]
fn the_oldest_of_too_many_values_drops() {
    let daemon = Process::start(&Settings::default().with("values", "max-values = 3"));
    let account = Account::register(daemon.api());
    for number in [0, 1, 2, 1, 3] {
        account.publish(daemon.api(), &value(number));
    }
    // 1 was renewed before 3 came, so that 0 was the oldest.
    let txts = ask(daemon.dns(), &query(&account.fulldomain, TXT)).txts();
    assert_eq!(txts, [value(3), value(1), value(2)]);
}
