//! Whether what was offered is a release that may replace this program. Pure.
//!
//! A release is a folder with programs named `dtma-<version>-<processor>`, `SHA256SUMS` over all of them as `sha256sum`
//! writes it, and `SHA256SUMS.sig`, the 64 bytes of an Ed25519 signature over `SHA256SUMS`. The version is part of a
//! signed name, so an old release cannot be offered as a new one.

use super::Version;
use capability::PublicKey;
use sha2::{Digest, Sha256};
use std::env::consts::ARCH;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the release is not signed with the key that this machine trusts")]
    Signature,
    #[error("the release's list of checksums cannot be read")]
    List,
    #[error("the release has no program for this processor ({ARCH})")]
    Processor,
    #[error("the release has several programs for this processor, and one was expected")]
    Several,
    #[error("{offered} is not newer than {present}, which is installed; a downgrade is never done")]
    NotNewer { offered: Version, present: Version },
    #[error("the program is not the one that was signed: its checksum differs")]
    Checksum,
}

/// A program that was signed, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub version: Version,
    /// Its name in the release.
    pub name: String,
    sha256: String,
}

pub fn verify(sums: &[u8], signature: &[u8], key: &PublicKey, present: Version) -> Result<Release, Refused> {
    if !key.verify(sums, signature) {
        return Err(Refused::Signature);
    }
    let sums = std::str::from_utf8(sums).map_err(|_| Refused::List)?;
    let mut found = None;
    for line in sums.lines() {
        let (sha256, name) = line.split_once("  ").ok_or(Refused::List)?;
        let version = name.strip_prefix("dtma-").and_then(|rest| rest.strip_suffix(ARCH)?.strip_suffix('-'));
        let Some(version) = version else { continue };
        let version: Version = version.parse().map_err(|_| Refused::List)?;
        let release = Release { version, name: name.to_owned(), sha256: sha256.to_owned() };
        if found.replace(release).is_some() {
            return Err(Refused::Several);
        }
    }
    let release = found.ok_or(Refused::Processor)?;
    if release.version <= present {
        return Err(Refused::NotNewer { offered: release.version, present });
    }
    Ok(release)
}

impl Release {
    pub fn check(&self, program: &[u8]) -> Result<(), Refused> {
        if crate::hex(&Sha256::digest(program)) == self.sha256 { Ok(()) } else { Err(Refused::Checksum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capability::SigningKey;

    const PROGRAM: &[u8] = b"a program";

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap()
    }

    fn line(name: &str) -> String {
        format!("{}  {name}\n", crate::hex(&Sha256::digest(PROGRAM)))
    }

    fn look(key: &SigningKey, sums: &str, present: &str) -> Result<Release, Refused> {
        verify(sums.as_bytes(), &key.sign(sums.as_bytes()), &key.public_key(), present.parse().unwrap())
    }

    #[test]
    fn a_signed_newer_release_passes_and_its_program_only() {
        let sums = line("dtma.service") + &line(&format!("dtma-0.2.0-{ARCH}")) + &line("dtma-0.2.0-other");
        let release = look(&key(), &sums, "0.1.0").unwrap();
        assert_eq!(release.version, "0.2.0".parse().unwrap());
        assert_eq!(release.name, format!("dtma-0.2.0-{ARCH}"));
        assert_eq!(release.check(PROGRAM), Ok(()));
        assert_eq!(release.check(b"another"), Err(Refused::Checksum));
    }

    #[test]
    fn any_bit_of_list_or_signature_that_is_changed_is_refused() {
        let (key, sums) = (key(), line(&format!("dtma-0.2.0-{ARCH}")));
        let (signature, present) = (key.sign(sums.as_bytes()), "0.1.0".parse().unwrap());
        assert!(verify(sums.as_bytes(), &signature, &key.public_key(), present).is_ok());
        for bit in 0..sums.len() * 8 {
            let mut sums = sums.clone().into_bytes();
            sums[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&sums, &signature, &key.public_key(), present), Err(Refused::Signature));
        }
        for bit in 0..signature.len() * 8 {
            let mut signature = signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(sums.as_bytes(), &signature, &key.public_key(), present), Err(Refused::Signature));
        }
        let stranger = self::key();
        assert_eq!(
            verify(sums.as_bytes(), &stranger.sign(sums.as_bytes()), &key.public_key(), present),
            Err(Refused::Signature)
        );
    }

    #[test]
    fn a_downgrade_the_same_version_and_a_doubtful_list_are_refused() {
        let (key, good) = (key(), line(&format!("dtma-0.2.0-{ARCH}")));
        for present in ["0.2.0", "0.3.0", "1.0.0"] {
            assert!(matches!(look(&key, &good, present), Err(Refused::NotNewer { .. })), "{present}");
        }
        assert_eq!(look(&key, &line("dtma-0.2.0-other"), "0.1.0"), Err(Refused::Processor));
        let two = good.clone() + &line(&format!("dtma-0.3.0-{ARCH}"));
        assert_eq!(look(&key, &two, "0.1.0"), Err(Refused::Several));
        assert_eq!(look(&key, &line(&format!("dtma-../../x-{ARCH}")), "0.1.0"), Err(Refused::List));
        assert_eq!(look(&key, "no list", "0.1.0"), Err(Refused::List));
    }
}
