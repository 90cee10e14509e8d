//! What a new machine is told: `infra/cloud-init.yaml` with its values.

use base64::{Engine, prelude::BASE64_STANDARD};
use protocol::chat::Secret;

const TEMPLATE: &str = include_str!("../../../../infra/cloud-init.yaml");

/// What every machine of this installation installs, and from where it takes its work.
pub struct Installation {
    control_plane: String,
    release: String,
    key: String,
}

/// Why machines cannot be made with these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the control plane's address is not an https address, so no machine elsewhere can reach it safely")]
    ControlPlane,
    #[error("the release's address is not an https address")]
    Release,
    #[error("the release's key is not an Ed25519 public key (32 bytes, base64url)")]
    Key,
}

impl Installation {
    /// `release` is the folder of a release (see `infra/README.md`), `key` the public key that it is signed with.
    pub fn new(control_plane: &str, release: &str, key: &str) -> Result<Self, Unfit> {
        key.parse::<capability::PublicKey>().map_err(|_| Unfit::Key)?;
        Ok(Self {
            control_plane: https(control_plane).ok_or(Unfit::ControlPlane)?,
            release: https(release).ok_or(Unfit::Release)?,
            key: key.to_owned(),
        })
    }

    /// The user data of one machine, which enrols with `token`.
    pub fn user_data(&self, token: &Secret) -> Secret {
        let values = [
            ("token", token.expose()),
            ("control_plane", &self.control_plane),
            ("release", &self.release),
            ("key", &self.key),
        ];
        Secret::new(values.iter().fold(TEMPLATE.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), &BASE64_STANDARD.encode(value))
        }))
    }
}

/// In its normal form, without what would make another address of it when a path is added.
fn https(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (plain && url.fragment().is_none()).then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Installation, Unfit};
    use base64::{Engine, prelude::BASE64_STANDARD};
    use protocol::chat::Secret;

    const KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn made(token: &str) -> String {
        let installation = Installation::new("https://plane.example/", "https://releases.example/dtma", KEY);
        installation.expect("it is fit").user_data(&Secret::new(token.into())).expose().to_owned()
    }

    #[test]
    fn every_value_is_filled_in_and_none_can_end_its_text() {
        let nasty = "\"\n  - path: /etc/passwd\n{{key}} $(reboot) `reboot` '";
        let (plain, injected) = (made("agentopia_enrol_00"), made(nasty));
        assert!(plain.starts_with("#cloud-config\n"));
        assert!(!plain.contains("{{") && !injected.contains("{{"));
        assert!(injected.contains(&BASE64_STANDARD.encode(nasty)) && !injected.contains("/etc/passwd"));
        // The two differ in the one line that holds the token.
        let differ = plain.lines().zip(injected.lines()).filter(|(one, other)| one != other).count();
        assert_eq!((differ, plain.lines().count()), (1, injected.lines().count()));
        // DigitalOcean takes no more.
        assert!(injected.len() < 64 * 1024);
    }

    #[test]
    fn the_token_is_no_argument_and_stands_in_clear_nowhere() {
        let text = made("agentopia_enrol_5ec7e7");
        assert!(!text.contains("5ec7e7"));
        assert!(text.contains(&BASE64_STANDARD.encode("agentopia_enrol_5ec7e7")), "it is there, encoded");
        let read = text.lines().filter(|line| line.contains("token") && !line.trim_start().starts_with('#'));
        let read: Vec<_> = read.map(str::trim).collect();
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!(read.first(), Some(&"- path: /run/agentopia/token"));
        assert!(read.iter().all(|line| line.contains("/run/agentopia/token") || line.contains("--token-file token ")));
    }

    #[test]
    fn what_is_not_fetched_or_asked_safely_is_refused() {
        let new = |plane: &str, release: &str, key: &str| Installation::new(plane, release, key).err();
        for url in
            ["http://plane.example", "https://", "https://a:b@c", "https://a?b", "https://a#b", "file:///a", "a b"]
        {
            assert_eq!(new(url, "https://r.example", KEY), Some(Unfit::ControlPlane), "{url}");
            assert_eq!(new("https://p.example", url, KEY), Some(Unfit::Release), "{url}");
        }
        for key in ["", "abc", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR'"] {
            assert_eq!(new("https://p.example", "https://r.example", key), Some(Unfit::Key), "{key}");
        }
        assert_eq!(new("https://p.example:8443/base", "https://r.example/dtma/", KEY), None);
    }
}
