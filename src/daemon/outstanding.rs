//! A question to the disk that may hang: asked once, until it is answered.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

/// At most one question of a kind. A disk that hangs keeps one thread then, and not another one with each round.
#[derive(Debug)]
pub struct Outstanding<T>(Option<JoinHandle<T>>);

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Outstanding<T> {
    /// Asks, unless an earlier question is open, and waits for the answer. `None`: there is no answer within the limit; the
    /// next call waits for it again.
    pub async fn answer(&mut self, limit: Duration, ask: impl FnOnce() -> JoinHandle<T>) -> Option<T> {
        let asked = self.0.get_or_insert_with(ask);
        let answer = timeout(limit, asked).await.ok()?;
        self.0 = None;
        // An error says that the runtime ends.
        answer.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_is_asked_once() {
        const SHORT: Duration = Duration::from_millis(5);
        const LONG: Duration = Duration::from_secs(60);
        let (answer, answered) = channel();
        let mut outstanding = Outstanding::default();
        let hanging = move || tokio::task::spawn_blocking(move || answered.recv().unwrap());
        assert_eq!(outstanding.answer(SHORT, hanging).await, None);
        for _ in 0..3 {
            assert_eq!(outstanding.answer(SHORT, || panic!("asked again")).await, None);
        }
        answer.send(1).unwrap();
        assert_eq!(outstanding.answer(LONG, || panic!("asked again")).await, Some(1));
        assert_eq!(outstanding.answer(LONG, || tokio::spawn(async { 2 })).await, Some(2));
    }
}
