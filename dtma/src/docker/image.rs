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
    /// What it runs unless told otherwise: entry point and arguments.
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    /// Folders that it declares to be volumes.
    pub volumes: Vec<String>,
    /// Where its command line starts; empty when it does not say.
    pub workdir: String,
}

/// An image of ours with a package in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageImage {
    pub name: String,
    /// The package that it is a version of, `npx:package`; absent on images of an older daemon.
    pub key: Option<String>,
    /// Seconds since the epoch.
    pub created: i64,
}

/// What is left of a disk, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub free: u64,
    pub total: u64,
}

impl Engine {
    /// On the disk where the engine keeps images and containers; `None` when this process does not see it.
    pub async fn disk(&self) -> Result<Option<Disk>, Error> {
        let root = deadline("info", QUICK, self.client().await?.info()).await?.docker_root_dir;
        // For whom is not root some blocks are never free: those that are left for us count.
        let stat = root.and_then(|root| rustix::fs::statvfs(root).ok());
        Ok(stat.map(|stat| Disk { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize }))
    }

    pub async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        match deadline("image", QUICK, self.client().await?.inspect_image(name)).await {
            Ok(image) => {
                let config = image.config.unwrap_or_default();
                Ok(Some(Image {
                    id: image.id.unwrap_or_default(),
                    digest: image.repo_digests.and_then(|all| all.into_iter().next()),
                    labels: config.labels.unwrap_or_default(),
                    entrypoint: config.entrypoint.unwrap_or_default(),
                    command: config.cmd.unwrap_or_default(),
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
    pub async fn package_images(&self) -> Result<Vec<PackageImage>, Error> {
        let filters = HashMap::from([("label", vec![labels::PACKAGE])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters).build();
        let found = deadline("images", QUICK, self.client().await?.list_images(Some(options))).await?;
        let ours = |tag: &String| tag.split(':').next() == Some(labels::PACKAGES);
        let known = |image: bollard::models::ImageSummary| {
            let (created, key) = (image.created, image.labels.get(labels::PACKAGE_KEY).cloned());
            let tags = image.repo_tags.into_iter().filter(ours);
            tags.map(move |name| PackageImage { name, key: key.clone(), created })
        };
        Ok(found.into_iter().flat_map(known).collect())
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
