//! Reads of the store, which block.

use crate::publisher::Publisher;

use super::error::Failure;

/// Reads the store on a blocking thread: a disk that stalls must not stall the async threads.
pub async fn read<T, E>(
    publisher: &Publisher,
    read: impl FnOnce(&Publisher) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let publisher = publisher.clone();
    match tokio::task::spawn_blocking(move || read(&publisher)).await {
        Ok(found) => found.map_err(Into::into),
        Err(error) => Err(Failure::Fault { code: "internal_error", reason: error.to_string() }),
    }
}
