//! A server's own volume, which outlives its container.

use super::{Engine, Error, QUICK, SLOW, calls::gone_is_fine, deadline, labels, launch};
use bollard::{
    models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions},
    query_parameters::{CreateContainerOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptionsBuilder},
};
use protocol::ids::ToolboxId;
use std::collections::HashMap;

type Labels = HashMap<String, String>;

impl Engine {
    /// Makes the volume unless it is there, owned by the user that servers run as.
    ///
    /// Docker fills a new volume, owner included, from the folder it is first mounted over; a runner image has the right
    /// one at [`launch::DATA`], another image may not. So a container of the runner mounts it first and is never started.
    pub async fn volume(&self, toolbox: ToolboxId, name: &str, labels: Labels, runner: &str) -> Result<(), Error> {
        let client = self.client().await?;
        match deadline("volume", QUICK, client.inspect_volume(name)).await {
            Ok(_) => return Ok(()),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let mount = Mount {
            target: Some(launch::DATA.into()),
            source: Some(name.into()),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions { labels: Some(labels), ..Default::default() }),
            ..Default::default()
        };
        let body = ContainerCreateBody {
            image: Some(runner.into()),
            cmd: Some(vec!["true".into()]),
            // A daemon that is killed before it removes this one finds it again by this label.
            labels: Some([(labels::INSTALL.to_owned(), toolbox.to_string())].into()),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount]),
                network_mode: Some("none".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&labels::throwaway()).build();
        let made = deadline("create", SLOW, client.create_container(Some(options), body)).await?;
        self.remove(&made.id).await
    }

    pub async fn volumes(&self, toolbox: ToolboxId) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label", vec![format!("{}={toolbox}", labels::TOOLBOX)])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let found = deadline("volumes", QUICK, self.client().await?.list_volumes(Some(options))).await?;
        Ok(found.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    }

    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let options = RemoveVolumeOptionsBuilder::new().build();
        gone_is_fine(deadline("remove volume", SLOW, self.client().await?.remove_volume(name, Some(options))).await)
    }
}
