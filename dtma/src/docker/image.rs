//! Images: look, pull, name.

use super::{Engine, Error, QUICK, deadline, labels};
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures::StreamExt;
use std::{collections::HashMap, time::Duration};

const PULL: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub struct Image {
    pub id: String,
    /// As a registry knows it, when it came from one.
    pub digest: Option<String>,
    pub labels: HashMap<String, String>,
    /// Folders that it declares to be volumes.
    pub volumes: Vec<String>,
    /// Where its command line starts; empty when it does not say.
    pub workdir: String,
}

impl Engine {
    pub async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        match deadline("image", QUICK, self.client().await?.inspect_image(name)).await {
            Ok(image) => {
                let config = image.config.unwrap_or_default();
                Ok(Some(Image {
                    id: image.id.unwrap_or_default(),
                    digest: image.repo_digests.and_then(|all| all.into_iter().next()),
                    labels: config.labels.unwrap_or_default(),
                    volumes: config.volumes.unwrap_or_default(),
                    workdir: config.working_dir.unwrap_or_default(),
                }))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn pull(&self, name: &str) -> Result<(), Error> {
        // Without a tag Docker would fetch all of them.
        let tagged = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let full = if tagged { name.to_owned() } else { format!("{name}:latest") };
        let options = CreateImageOptionsBuilder::new().from_image(&full).build();
        let mut progress = self.client().await?.create_image(Some(options), None, None);
        let pulled = async {
            while let Some(step) = progress.next().await {
                step?;
            }
            Ok(())
        };
        deadline("pull", PULL, pulled).await
    }

    /// Images that hold an installed package, any toolbox's: they are shared.
    pub async fn package_images(&self) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label", vec![labels::PACKAGE])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters).build();
        let found = deadline("images", QUICK, self.client().await?.list_images(Some(options))).await?;
        Ok(found.into_iter().flat_map(|image| image.repo_tags).collect())
    }

    pub async fn remove_image(&self, name: &str) -> Result<(), Error> {
        let options = RemoveImageOptionsBuilder::new().build();
        let call = self.client().await?.remove_image(name, Some(options), None);
        match deadline("remove image", super::SLOW, call).await {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
