//! The client for commands, which have no runtime of their own.

use std::io;

use tokio::runtime::{Builder, Runtime};

use super::client::DnsClient;

/// A [`DnsClient`] whose questions block the thread. Must not be used inside an async runtime.
#[derive(Debug)]
pub struct BlockingDnsClient {
    client: DnsClient,
    runtime: Runtime,
}

impl BlockingDnsClient {
    /// Starts a runtime on the calling thread. Fails if the process is out of file descriptors.
    pub fn new(client: DnsClient) -> io::Result<Self> {
        Ok(Self { client, runtime: Builder::new_current_thread().enable_all().build()? })
    }

    /// Runs `work` with the client, and waits for its result.
    pub fn run<T>(&self, work: impl AsyncFnOnce(&DnsClient) -> T) -> T {
        self.runtime.block_on(work(&self.client))
    }
}
