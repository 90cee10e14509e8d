//! What the gateway proves itself with when it is called over TLS: a certificate that it signed itself, made at enrolment
//! together with its key. The control plane learns its digest then, and accepts no other until the next enrolment; so it has no
//! authority above it, and no end.

use super::file::{Error, write_atomically};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use std::{fs, io, path::Path};
use zeroize::Zeroizing;

/// It has no `Debug`: it holds a key.
pub struct Certificate {
    der: CertificateDer<'static>,
    /// PKCS#8.
    key: Zeroizing<Vec<u8>>,
}

impl Certificate {
    /// For the loopback and for these names and addresses.
    pub fn generate(hosts: Vec<String>) -> Result<Self, Error> {
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(hosts.into_iter().chain(loopback).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "Agentopia toolbox");
        let key = KeyPair::generate()?;
        let der = params.self_signed(&key)?.der().clone();
        Ok(Self { der, key: Zeroizing::new(key.serialize_der()) })
    }

    /// SHA-256 of the certificate's DER, hex: what is pinned.
    pub fn digest(&self) -> String {
        crate::hex(&Sha256::digest(&self.der))
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.to_vec()).into()
    }

    pub(super) fn load(path: &Path) -> Result<Option<Self>, Error> {
        let pem = match fs::read(path) {
            Ok(pem) => Zeroizing::new(pem),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, error)),
        };
        let bad = || Error::Key { path: path.to_path_buf() };
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| bad())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| bad())?;
        Ok(Some(Self { der, key: Zeroizing::new(key.secret_pkcs8_der().to_vec()) }))
    }

    /// The certificate alone, as PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    /// In one file, so that a certificate never stands beside another's key.
    pub(super) fn store(&self, path: &Path) -> Result<(), Error> {
        let both = Zeroizing::new(self.pem() + &Zeroizing::new(pem("PRIVATE KEY", &self.key)));
        write_atomically(path, both.as_bytes()).map_err(|error| Error::io(path, error))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(der));
    // In one allocation, so that no copy of a key is left behind by growing.
    let mut text = String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 64);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for (at, character) in base64.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use crate::ledger::Ledger;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_comes_back_as_it_was_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert!(ledger.certificate().unwrap().is_none());
        let made = super::Certificate::generate(vec!["box.example".into(), "2001:db8::1".into()]).unwrap();
        ledger.keep_certificate(&made).unwrap();
        let mode = folder.path().join("gateway.pem").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let kept = ledger.certificate().unwrap().unwrap();
        assert_eq!((kept.digest(), &*kept.key), (made.digest(), &*made.key));
        assert!(kept.pem().starts_with("-----BEGIN CERTIFICATE-----\n") && !kept.pem().contains("PRIVATE"));
        assert_ne!(super::Certificate::generate(vec![]).unwrap().digest(), made.digest());
        std::fs::write(folder.path().join("gateway.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert!(ledger.certificate().is_err());
    }
}
