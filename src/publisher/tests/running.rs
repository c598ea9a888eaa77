//! The time that the daemon has run, and what ends by it.

use super::*;

impl Fixture {
    fn stored_times(&self) -> (Option<RunningTime>, Option<Timestamp>) {
        self.publisher.store().read(|rows| Ok((rows.running_time()?, rows.last_commit()?))).unwrap()
    }
}

#[tokio::test]
async fn a_commit_without_a_change_has_no_date() {
    let fixture = Fixture::new(|_| {});
    assert_eq!(fixture.stored_times().1, Some(Timestamp::default()), "nothing has changed yet");
    fixture.publisher.write_freely(Actor::UPKEEP, |_| Ok(())).await.unwrap();
    assert_eq!(fixture.stored_times().1, Some(Timestamp::default()), "the machine's clock may be wrong");
    fixture.register(None).await.unwrap();
    assert!(fixture.stored_times().1 > Some(Timestamp::default()));
}

#[tokio::test]
async fn a_run_goes_on_where_the_one_before_ended() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let before = fixture.stored_times().0.unwrap();
    let fixture = fixture.restart();
    assert!(fixture.publisher.moment().running >= before);
    assert_eq!(fixture.live(&account), "a");
}
