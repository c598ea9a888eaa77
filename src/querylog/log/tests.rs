use crate::model::actor::Actor;
use crate::model::serial::Serial;
use crate::model::time::{RunningTime, Timestamp};
use crate::model::txt::LiveValue;
use crate::querylog::queue::QueryRecord;
use crate::querylog::queue::tests::RECORD;
use crate::zone::Zone;
use crate::zone::change::{Action, Change, ChangeStream};
use crate::zone::live::Live;
use crate::zone::owner_state::OwnerState;
use crate::zone::soa::Soa;
use crate::zone::zonefile::StaticRecords;

use super::*;

const SETTINGS: QueryLogSettings =
    QueryLogSettings { enabled: true, per_owner: 64, memory: 1 << 20, is_private: false, keep: None };

/// The zone `auth.test`, in which nothing is published at `shop`.
fn zone() -> Zone {
    let server: crate::model::name::Name = "ns1.auth.test".parse().unwrap();
    let soa = Soa { mname: server.clone(), rname: server.clone(), refresh: 1, retry: 2, expire: 3, negative_ttl: 30 };
    let name = "auth.test".parse().unwrap();
    let statics = StaticRecords::parse(&name, &[server], "ns1 A 192.0.2.1\n").unwrap();
    let live = Live::new(Serial(7));
    live.put("shop", Some(OwnerState::Empty));
    Zone { name, soa, txt_ttl: 1, statics, live: Arc::new(live), dnssec: None, signing: None }
}

fn record() -> QueryRecord {
    QueryRecord { at: PreciseTimestamp::now(), ..RECORD }
}

#[test]
fn a_query_for_a_zone_that_is_new_while_the_queues_are_emptied_is_logged() {
    let zones = Zones::default();
    let log = QueryLog::new(SETTINGS, zones.clone(), Clock::start(None), Arc::default());
    let recorder = log.thread_recorder();
    let queue = locked(&log.0.queues).all[0].clone();
    let in_use = queue.hold_first();
    let emptying = std::thread::spawn({
        let log = log.clone();
        move || log.drain()
    });
    // The thread waits for the buffer once it has the table.
    while log.0.table.try_lock().is_ok() {
        std::thread::yield_now();
    }
    zones.replace(vec![zone()]);
    recorder.record(record(), b"\x04shop\x04auth\x04test\x00", [].into_iter());
    drop(in_use);
    assert_eq!(emptying.join().unwrap(), 1);
    let shop = Owner::subdomain("auth.test".parse().unwrap(), "shop".parse().unwrap());
    assert_eq!(log.owner(&shop).queries.len(), 1);
}

/// The task that fills the log may wake after a query that follows a retirement. The value was retired before it all the same.
#[test]
fn a_retirement_is_dated_by_its_commit_even_if_the_log_hears_of_it_late() {
    let zones = Zones::default();
    zones.replace(vec![zone()]);
    let log = QueryLog::new(SETTINGS, zones, Clock::start(None), Arc::default());
    let recorder = log.thread_recorder();
    let stream = ChangeStream::default();
    *locked(&log.0.changes) = Some(stream.subscribe());
    let shop = Owner::subdomain("auth.test".parse().unwrap(), "shop".parse().unwrap());
    let change = |state| {
        let subject = Subject::Owner { owner: shop.clone(), serial: Serial(8), state };
        let (actor, at) = (Actor::UPKEEP, Timestamp::from_unix(1));
        stream.send(vec![Change { subject, actor, action: Action::Expire, at }]);
    };
    let txt = "v".repeat(43).parse().unwrap();
    let value = LiveValue { txt, published: Timestamp::from_unix(1), expires: RunningTime::MAX };
    change(Some(OwnerState::One(value)));
    change(Some(OwnerState::Empty));
    std::thread::sleep(Duration::from_millis(2));
    let asked = PreciseTimestamp::now();
    recorder.record(QueryRecord { at: asked, ..RECORD }, b"\x04shop\x04auth\x04test\x00", [].into_iter());
    std::thread::sleep(Duration::from_millis(2));
    let evidence = log.owner(&shop);
    let retired = evidence.values.first().and_then(|value| value.retired);
    assert!(retired.is_some_and(|retired| retired < asked), "{evidence:?}");
}
