//! What may be thrown away, and whether there is room for more.

use super::Packages;
use crate::docker::{Disk, Error, PackageImage};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// Of each package: the current one and the one before, to go back to.
const KEPT: usize = 2;
/// A younger one may be about to be started from, perhaps by another toolbox of this machine. Seconds.
const YOUNG: i64 = 60 * 60;
/// Percent of the disk that stays free.
const RESERVE: u64 = 10;

/// Names of images that nobody is expected to want again. Only images that say which package they hold; one that a container
/// uses is refused by Docker itself, whichever toolbox the container is of.
pub fn garbage(images: &[PackageImage], now: i64) -> Vec<String> {
    let mut packages: BTreeMap<&str, Vec<&PackageImage>> = BTreeMap::new();
    for image in images {
        if let Some(key) = &image.key {
            packages.entry(key).or_default().push(image);
        }
    }
    let mut names = Vec::new();
    for versions in packages.values_mut() {
        versions.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        let old = versions.iter().skip(KEPT).filter(|image| now - image.created > YOUNG);
        names.extend(old.map(|image| image.name.clone()));
    }
    names
}

/// Why nothing more may be put on the disk; `None` when it may. A disk that cannot be seen is not judged.
pub fn no_room(disk: Option<Disk>) -> Option<String> {
    let Disk { free, total } = disk.filter(|disk| disk.total > 0)?;
    let percent = u128::from(free) * 100 / u128::from(total);
    (percent < u128::from(RESERVE)).then(|| {
        let left = free >> 20;
        format!("only {percent} % ({left} MiB) of Docker's disk is free and {RESERVE} % must stay so; make room on it")
    })
}

impl Packages {
    /// Now and then, until the daemon ends.
    pub async fn keep_tidy(self: Arc<Self>) {
        loop {
            if let Err(error) = self.tidy(jiff::Timestamp::now().as_second()).await {
                tracing::warn!(%error, "old package images were not looked at");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn tidy(&self, now: i64) -> Result<(), Error> {
        for name in garbage(&self.engine.package_images().await?, now) {
            match self.engine.remove_image(&name).await {
                Ok(()) => tracing::info!(name, "an old package image is removed"),
                // A container uses it.
                Err(Error::Conflict(why)) => tracing::debug!(name, why, "an old package image stays"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, key: Option<&str>, created: i64) -> PackageImage {
        PackageImage { name: name.into(), key: key.map(Into::into), created }
    }

    #[test]
    fn the_current_and_the_previous_image_of_each_package_stay() {
        let images = [
            image("a1", Some("npx:a"), 100),
            image("a3", Some("npx:a"), 300),
            image("a2", Some("npx:a"), 200),
            image("b1", Some("uvx:a"), 1),
            image("b2", Some("uvx:a"), 2),
            image("unknown", None, 0),
        ];
        assert_eq!(garbage(&images, 100_000), ["a1"]);
        // The positive control of its being young.
        assert_eq!(garbage(&images, 100 + YOUNG + 1), ["a1"]);
        assert!(garbage(&images, 100 + YOUNG).is_empty());
        assert!(garbage(&[], 0).is_empty());
    }

    #[test]
    fn under_a_tenth_nothing_is_installed_and_it_is_said() {
        let disk = |free, total| Some(Disk { free, total });
        assert_eq!(no_room(disk(10, 100)), None);
        assert_eq!(no_room(None), None);
        assert_eq!(no_room(disk(0, 0)), None);
        assert_eq!(no_room(disk(u64::MAX, u64::MAX)), None);
        let said = no_room(disk(9 << 30, 100 << 30)).unwrap();
        assert!(said.contains("only 9 % (9216 MiB)"), "{said}");
        assert!(no_room(disk(0, 1)).is_some());
    }
}
