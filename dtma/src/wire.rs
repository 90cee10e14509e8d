//! The thread on which the gateway and the connections to servers live. A call passes five tasks, so handing them from one
//! core to another would cost more than the work; and nothing here waits for a disk or for Docker.

use std::{io, panic, thread};
use tokio::runtime::{Builder, Handle};
use tokio_util::task::AbortOnDropHandle;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wire(Handle);

impl Wire {
    /// Starts the thread; it ends with the process.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("wire".into()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self(handle))
    }

    /// The thread that calls: for a simulation, which has one.
    pub fn here() -> Self {
        Self(Handle::current())
    }

    /// Does `work` there, and ends it when the caller goes away. What it opens and spawns stays there.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match AbortOnDropHandle::new(self.0.spawn(work)).await {
            Ok(done) => done,
            // It is aborted only by the drop of this very future.
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }
}
