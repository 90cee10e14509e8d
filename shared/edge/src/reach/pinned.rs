//! TLS with a toolbox: no authority is asked, its own certificate is known. Nor are the certificate's names and dates looked
//! at: what the toolbox enrolled with is good until it enrols with another.

use protocol::ids::ToolboxId;
use ring::digest::{SHA256, digest};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use std::{fmt, sync::Arc};

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin([u8; 32]);

impl Pin {
    /// From 64 digits, lower-case hex.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let digits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        digits.then_some(Self(bytes))
    }

    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        digest(&SHA256, certificate).as_ref().try_into().ok().map(Self)
    }

    /// A client's side that talks to the holder of this certificate only.
    pub(super) fn config(self, toolbox: ToolboxId) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Pinned { pin: self, toolbox, provider: provider.clone() };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

struct Pinned {
    pin: Pin,
    toolbox: ToolboxId,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("toolbox", &self.toolbox).finish_non_exhaustive()
    }
}

const OTHER: &str = "the toolbox shows another certificate than the one it enrolled with; if its owner gave it a new one, enrol it \
                     again with dtma enrol --again";

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Pin::of(certificate) == Some(self.pin) {
            return Ok(ServerCertVerified::assertion());
        }
        // Either somebody stands between, or its owner gave it another certificate.
        tracing::warn!(toolbox = %self.toolbox, "{OTHER}");
        Err(Error::General(OTHER.to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 was not offered".to_owned()))
    }

    /// The certificate alone is public: this is the proof that who shows it has its key.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
