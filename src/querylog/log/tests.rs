use crate::model::actor::Actor;
use crate::model::serial::Serial;
use crate::model::time::{RunningTime, Timestamp};
use crate::model::txt::LiveValue;
use crate::querylog::queue::QueryRecord;
use crate::querylog::queue::tests::RECORD;
use crate::querylog::verdict::VerdictCode;
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

/// A log of the owner `shop`, and the changes that the test makes there.
struct Shop {
    zones: Zones,
    log: QueryLog,
    recorder: Recorder,
    stream: ChangeStream,
    owner: Owner,
}

impl Shop {
    fn new() -> Self {
        let zones = Zones::default();
        zones.replace(vec![zone()]);
        let log = QueryLog::new(SETTINGS, zones.clone(), Clock::start(None), Arc::default());
        let (recorder, stream) = (log.thread_recorder(), ChangeStream::default());
        *locked(&log.0.changes) = Some(Changes::from(stream.subscribe()));
        let owner = Owner::subdomain("auth.test".parse().unwrap(), "shop".parse().unwrap());
        Self { zones, log, recorder, stream, owner }
    }

    /// Has the zone serve this.
    fn serve(&self, serial: u32, state: &OwnerState) {
        self.zones.load()[0].live.apply([("shop", Some(state.clone()))], Serial(serial));
    }

    /// Tells the log of it.
    fn tell(&self, serial: u32, state: &OwnerState) {
        let subject = Subject::Owner { owner: self.owner.clone(), serial: Serial(serial), state: Some(state.clone()) };
        let (actor, at) = (Actor::UPKEEP, Timestamp::from_unix(1));
        self.stream.send(vec![Change { subject, actor, action: Action::Publish, at }]);
    }

    fn commit(&self, serial: u32, state: &OwnerState) {
        self.serve(serial, state);
        self.tell(serial, state);
    }

    /// A query from `192.0.<network>.1` that was answered from the zone with this serial, and dated `later` than now, or
    /// earlier.
    fn ask(&self, network: u8, serial: u32, later: i64, values: &[&str]) {
        let at = PreciseTimestamp::from_millis(PreciseTimestamp::now().as_millis().saturating_add_signed(later));
        let record = QueryRecord { at, serial: Serial(serial), source: [192, 0, network, 1].into(), ..RECORD };
        self.recorder.record(record, b"\x04shop\x04auth\x04test\x00", values.iter().map(|value| value.as_bytes()));
    }

    /// The code of the verdict on each value, from the newest to the oldest.
    fn codes(&self) -> Vec<VerdictCode> {
        self.log.verdicts(&self.owner, None).values.iter().map(|value| value.verdict.code).collect()
    }
}

fn state(values: &[&str]) -> OwnerState {
    expiring(values, RunningTime::MAX)
}

fn expiring(values: &[&str], expires: RunningTime) -> OwnerState {
    let value = |txt: &&str| LiveValue { txt: txt.parse().unwrap(), published: Timestamp::from_unix(1), expires };
    OwnerState::of(&values.iter().map(value).collect::<Vec<_>>())
}

const ONE: &str = "1111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222";

/// The thread that answers and the one that commits date what they do a moment later, so a date proves nothing.
#[test]
fn queries_and_commits_are_ordered_by_the_state_that_was_asked_and_not_by_their_dates() {
    for (later, what) in [(0, "in the same millisecond"), (-40, "dated too early"), (40, "dated too late")] {
        let shop = Shop::new();
        shop.commit(8, &state(&[ONE]));
        shop.ask(1, 9, later, &[]);
        shop.commit(9, &OwnerState::Empty);
        assert_eq!(shop.codes(), [VerdictCode::AskedTooLate], "{what}");
        shop.ask(2, 8, later, &[ONE]);
        assert_eq!(shop.codes(), [VerdictCode::Served], "{what}");
        shop.ask(3, 9, later, &[]);
        shop.commit(10, &state(&[TWO]));
        assert_eq!(shop.codes(), [VerdictCode::AskedTooEarly, VerdictCode::Served], "{what}");
    }
}

#[test]
fn a_query_after_a_commit_of_which_the_log_has_not_heard_is_after_it() {
    let shop = Shop::new();
    shop.commit(8, &state(&[ONE]));
    assert_eq!(shop.codes(), [VerdictCode::NobodyAsked]);
    shop.serve(9, &OwnerState::Empty);
    shop.ask(1, 9, -40, &[]);
    assert_eq!(shop.codes(), [VerdictCode::AskedTooLate]);
    shop.serve(10, &state(&[TWO]));
    shop.ask(2, 10, 0, &[TWO]);
    let before = shop.codes();
    shop.tell(9, &OwnerState::Empty);
    shop.tell(10, &state(&[TWO]));
    assert_eq!((shop.codes(), before[0]), (vec![VerdictCode::Served, VerdictCode::AskedTooLate], VerdictCode::Served));
}

#[test]
fn a_value_that_is_published_again_is_another_one_for_the_queries_after_that() {
    let shop = Shop::new();
    for (serial, held) in [(8, state(&[ONE])), (9, OwnerState::Empty), (10, state(&[ONE]))] {
        shop.commit(serial, &held);
    }
    shop.ask(1, 10, 0, &[ONE]);
    assert_eq!(shop.codes(), [VerdictCode::Served, VerdictCode::AskedTooLate]);
    shop.ask(2, 8, 40, &[ONE]);
    assert_eq!(shop.codes(), [VerdictCode::Served, VerdictCode::Served]);
}

/// An expired value leaves the zone by a commit of upkeep, and its answers at once.
#[test]
fn a_query_between_the_expiry_of_a_value_and_its_removal_came_too_late() {
    let shop = Shop::new();
    let now = shop.log.0.clock.moment().running;
    let expired = expiring(&[ONE], now.minus(Duration::from_secs(3)));
    shop.commit(8, &expired);
    shop.ask(1, 8, -500, &[]);
    assert_eq!(shop.codes(), [VerdictCode::AskedTooLate]);
    shop.commit(9, &OwnerState::Empty);
    assert_eq!(shop.codes(), [VerdictCode::AskedTooLate]);
}

#[test]
fn a_value_that_was_gone_before_the_log_saw_a_query_for_it_is_retired_once() {
    let shop = Shop::new();
    shop.ask(1, 7, -40, &[ONE]);
    shop.commit(8, &OwnerState::Empty);
    let retired = || shop.log.owner(&shop.owner).values[0].retired;
    let first = retired();
    assert!(first.is_some());
    while PreciseTimestamp::now() <= first.unwrap() {
        std::thread::yield_now();
    }
    shop.ask(2, 8, -40, &[]);
    assert_eq!((retired(), shop.codes()), (first, vec![VerdictCode::Served]));
}

#[test]
fn equal_queries_before_and_after_a_commit_do_not_count_as_one() {
    let shop = Shop::new();
    shop.commit(8, &state(&[ONE]));
    shop.ask(1, 7, -40, &[]);
    shop.ask(1, 8, -30, &[]);
    shop.ask(1, 8, -20, &[]);
    let queries = shop.log.owner(&shop.owner).queries;
    let told: Vec<_> = queries.iter().map(|query| (query.serial, query.repeats)).collect();
    assert_eq!(told, [(Some(Serial(7)), 0), (Some(Serial(8)), 1)]);
}

/// After more commits at once than a subscriber may be behind by, the log reads from the zone what is published, and claims
/// nothing that depends on when it came there.
#[test]
fn after_missed_changes_verdicts_say_what_is_not_known() {
    let shop = Shop::new();
    shop.commit(8, &state(&[ONE]));
    shop.ask(1, 8, 0, &[ONE]);
    assert_eq!(shop.codes(), [VerdictCode::Served]);
    // While nobody listens, ONE goes and a network asks in vain; then TWO comes.
    shop.serve(9, &OwnerState::Empty);
    shop.ask(2, 9, 0, &[]);
    shop.serve(10, &state(&[TWO]));
    for serial in 11..2_000 {
        shop.tell(serial, &OwnerState::Empty);
    }
    let verdicts = shop.log.verdicts(&shop.owner, None).values;
    let told: Vec<_> = verdicts.iter().map(|found| (&*found.value, found.verdict.code)).collect();
    assert_eq!(told, [(TWO, VerdictCode::NotRecorded), (ONE, VerdictCode::Served)], "{verdicts:?}");
    let is_told = |text: &str| text.contains("some of what happened before ") && text.ends_with(" is not known");
    assert!(verdicts.iter().all(|found| is_told(&found.verdict.text)), "{verdicts:?}");
    // A later value is judged as ever.
    let gap = shop.log.owner(&shop.owner).gap.unwrap();
    while PreciseTimestamp::now() <= gap.until {
        std::thread::yield_now();
    }
    shop.commit(2_001, &state(&[ONE]));
    shop.ask(3, 2_001, 0, &[ONE]);
    let last = shop.log.verdicts(&shop.owner, None).values.remove(0);
    assert_eq!((last.verdict.code, is_told(&last.verdict.text)), (VerdictCode::Served, false), "{last:?}");
}

/// Otherwise a thread that answers as fast as it can fills its queue, and loses queries.
#[tokio::test]
async fn a_queue_that_is_half_full_wakes_the_task_that_empties_it() {
    const NEVER: Duration = Duration::from_secs(86_400);
    let shop = Shop::new();
    let task = tokio::spawn(shop.log.clone().run_every(NEVER, shop.stream.subscribe()));
    let is_logged = async |count| {
        while shop.log.0.metrics.queries_logged.value() < count {
            tokio::task::yield_now().await;
        }
    };
    let until_logged = async |count| tokio::time::timeout(Duration::from_secs(20), is_logged(count)).await.unwrap();
    // The first turn is the start's. The next one would be tomorrow's.
    shop.ask(0, 7, 0, &[]);
    until_logged(1).await;
    for number in 0..512 {
        shop.ask(number as u8, 7, 0, &[]);
    }
    until_logged(513).await;
    task.abort();
}
