//! What a server's life asks of Docker, so that a simulation can stand in the engine's place.

use super::{Attached, Bridge, Container, Disk, Engine, Error, Exit, Image, Inspected, Launch, labels};
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::ids::ToolboxId;
use std::{collections::HashMap, time::Duration};

/// Takes what a container writes to standard error.
pub type Aside = Box<dyn FnMut(&[u8]) + Send>;

/// Each call as the method of [`Engine`] with the same name says, each with a deadline.
#[async_trait::async_trait]
pub trait Machine: Send + Sync {
    async fn containers(&self, toolbox: ToolboxId) -> Result<Vec<Container>, Error>;
    async fn leftovers(&self, toolbox: ToolboxId) -> Result<Vec<String>, Error>;
    async fn create(&self, launch: Launch) -> Result<String, Error>;
    async fn start(&self, id: &str) -> Result<(), Error>;
    async fn attach(&self, id: &str, stderr: Aside) -> Result<Attached, Error>;
    async fn stop(&self, id: &str, grace: u32) -> Result<(), Error>;
    async fn remove(&self, id: &str) -> Result<(), Error>;
    async fn exit(&self, id: &str) -> Result<Exit, Error>;
    async fn inspect(&self, id: &str) -> Result<Inspected, Error>;
    async fn ended(&self, id: &str, limit: Duration) -> Result<(), Error>;
    async fn image(&self, name: &str) -> Result<Option<Image>, Error>;
    async fn pull(&self, name: &str) -> Result<(), Error>;
    async fn disk(&self) -> Result<Option<Disk>, Error>;
    async fn volume(
        &self,
        toolbox: ToolboxId,
        name: &str,
        labels: HashMap<String, String>,
        runner: &str,
    ) -> Result<(), Error>;
    async fn network(&self, name: &str, labels: HashMap<String, String>) -> Result<Bridge, Error>;
    async fn forget(&self, name: &str) -> Result<(), Error>;
    /// An item whenever something happened to a container of the toolbox; ends when the engine can no longer say.
    async fn events(&self, toolbox: ToolboxId) -> Result<BoxStream<'static, ()>, Error>;
}

#[async_trait::async_trait]
impl Machine for Engine {
    async fn containers(&self, toolbox: ToolboxId) -> Result<Vec<Container>, Error> {
        self.containers(toolbox).await
    }

    async fn leftovers(&self, toolbox: ToolboxId) -> Result<Vec<String>, Error> {
        self.leftovers(toolbox).await
    }

    async fn create(&self, launch: Launch) -> Result<String, Error> {
        self.create(launch).await
    }

    async fn start(&self, id: &str) -> Result<(), Error> {
        self.start(id).await
    }

    async fn attach(&self, id: &str, stderr: Aside) -> Result<Attached, Error> {
        self.attach(id, stderr).await
    }

    async fn stop(&self, id: &str, grace: u32) -> Result<(), Error> {
        self.stop(id, grace).await
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.remove(id).await
    }

    async fn exit(&self, id: &str) -> Result<Exit, Error> {
        self.exit(id).await
    }

    async fn inspect(&self, id: &str) -> Result<Inspected, Error> {
        self.inspect(id).await
    }

    async fn ended(&self, id: &str, limit: Duration) -> Result<(), Error> {
        self.ended(id, limit).await
    }

    async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        self.image(name).await
    }

    async fn pull(&self, name: &str) -> Result<(), Error> {
        self.pull(name).await
    }

    async fn disk(&self) -> Result<Option<Disk>, Error> {
        self.disk().await
    }

    async fn volume(
        &self,
        toolbox: ToolboxId,
        name: &str,
        labels: HashMap<String, String>,
        runner: &str,
    ) -> Result<(), Error> {
        self.volume(toolbox, name, labels, runner).await
    }

    async fn network(&self, name: &str, labels: HashMap<String, String>) -> Result<Bridge, Error> {
        self.network(name, labels).await
    }

    async fn forget(&self, name: &str) -> Result<(), Error> {
        self.forget(name).await
    }

    async fn events(&self, toolbox: ToolboxId) -> Result<BoxStream<'static, ()>, Error> {
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("label", vec![format!("{}={toolbox}", labels::TOOLBOX)]),
            ("event", ["start", "die", "destroy"].map(str::to_owned).to_vec()),
        ]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let client = self.client().await?.clone();
        // The client stays with its stream; what happened is not said, since the next look finds it.
        let events = stream::once(async move { client.events(Some(options)) }).flatten();
        Ok(events.take_while(|event| std::future::ready(event.is_ok())).map(|_| ()).boxed())
    }
}
