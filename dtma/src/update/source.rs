//! Where a release is had: a folder, or an address. Nothing of it is trusted before it was verified.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};
use url::{Host, Url};

const CONNECT: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub enum Source {
    Folder(PathBuf),
    Address(Url),
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("'{0}' is neither a folder nor an https address (http is for this machine itself)")]
    Unknown(String),
    #[error("the release's {0} cannot be read")]
    File(String, #[source] io::Error),
    #[error("the release's {0} cannot be fetched")]
    Fetch(String, #[source] reqwest::Error),
    #[error("the release's {0} is larger than {1} bytes")]
    TooLarge(String, usize),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let url = Url::parse(text).ok().filter(|url| match (url.scheme(), url.host()) {
            ("https", Some(_)) => true,
            ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
            ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
            ("http", Some(Host::Domain(name))) => name == "localhost",
            _ => false,
        });
        match url {
            Some(url) => Ok(Self::Address(url)),
            None if !text.contains("://") && fs::metadata(text).is_ok_and(|found| found.is_dir()) => {
                Ok(Self::Folder(text.into()))
            }
            None => Err(SourceError::Unknown(text.chars().take(200).collect())),
        }
    }
}

impl Source {
    /// One file of the release, at most `limit` bytes.
    pub async fn read(&self, name: &str, limit: usize) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        match self {
            Self::Folder(folder) => {
                let file = fs::File::open(folder.join(name)).map_err(|e| SourceError::File(name.into(), e))?;
                let most = limit as u64 + 1;
                file.take(most).read_to_end(&mut bytes).map_err(|e| SourceError::File(name.into(), e))?;
            }
            Self::Address(base) => {
                let failed = |error| SourceError::Fetch(name.into(), error);
                let client = reqwest::Client::builder().connect_timeout(CONNECT).timeout(WHOLE).build();
                let url = format!("{}/{name}", base.as_str().trim_end_matches('/'));
                let response = client.map_err(failed)?.get(url).send().await.map_err(failed)?;
                let mut response = response.error_for_status().map_err(failed)?;
                while let Some(chunk) = response.chunk().await.map_err(failed)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > limit {
                        break;
                    }
                }
            }
        }
        if bytes.len() > limit { Err(SourceError::TooLarge(name.into(), limit)) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_comes_from_a_folder_or_over_tls() {
        for text in
            ["https://example.org/dtma", "http://127.0.0.1:8000/x", "http://[::1]/x", "http://localhost/", "/tmp"]
        {
            assert!(text.parse::<Source>().is_ok(), "{text}");
        }
        for text in
            ["http://example.org/", "ftp://example.org/", "file:///tmp", "/no/such/folder", "", "http://10.0.0.1/"]
        {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn no_more_is_read_than_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ten"), [0; 10]).unwrap();
        let source = Source::Folder(folder.path().into());
        assert_eq!(source.read("ten", 10).await.unwrap().len(), 10);
        assert!(matches!(source.read("ten", 9).await, Err(SourceError::TooLarge(_, 9))));
        assert!(matches!(source.read("none", 9).await, Err(SourceError::File(..))));
    }
}
