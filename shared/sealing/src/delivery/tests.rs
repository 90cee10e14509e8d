use super::*;
use capability::{Minter, SigningKey};
use protocol::{chat::Secret, toolbox::CredentialsRequest};

const NOW: i64 = 1_800_000_000;

struct Scene {
    tenant: UserId,
    toolbox: ToolboxId,
    device: SigningKey,
    minter: Minter,
    recipient: Recipient,
    request: CredentialsRequest,
}

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("key")
}

fn scene() -> Scene {
    let (device, toolbox) = (key(), ToolboxId::new());
    let minter = Minter::from_pkcs8("k1", &SigningKey::generate().expect("random")).expect("key");
    let (recipient, request) = Recipient::new(toolbox, ServerId::new(), &device);
    Scene { tenant: UserId::new(), toolbox, device, minter, recipient, request }
}

impl Scene {
    fn seal(&self) -> SealedCredential {
        let to = verify(&self.request, self.toolbox, &self.device.public_key()).expect("signed by the toolbox");
        let value = Secret::new("hunter2".into());
        let delivery = Delivery {
            tenant: self.tenant,
            id: CredentialId::new(),
            version: 3,
            key: "TOKEN",
            value: &value,
            expires_at: None,
        };
        seal(&delivery, &to, &self.minter, NOW).expect("sealed")
    }

    fn open(&self, sealed: &SealedCredential, now: i64) -> Result<String, DeliveryError> {
        self.open_as(&self.recipient, self.tenant, sealed, now)
    }

    fn open_as(
        &self,
        recipient: &Recipient,
        tenant: UserId,
        sealed: &SealedCredential,
        now: i64,
    ) -> Result<String, DeliveryError> {
        let keys = |kid: &str| (kid == "k1").then(|| self.minter.key().public_key());
        recipient.open(sealed, tenant, keys, now).map(|opened| opened.value.expose().to_owned())
    }
}

#[test]
fn the_requester_reads_it() {
    let scene = scene();
    let sealed = scene.seal();
    assert_eq!(scene.open(&sealed, NOW), Ok("hunter2".into()));
    assert!(!serde_json::to_string(&sealed).expect("json").contains("hunter2"));
}

#[test]
fn nobody_else_does() {
    let scene = scene();
    let sealed = scene.seal();
    let (again, _) = Recipient::new(scene.toolbox, scene.request.server_id, &scene.device);
    assert_eq!(scene.open_as(&again, scene.tenant, &sealed, NOW), Err(DeliveryError::Signature));
    assert_eq!(scene.open_as(&scene.recipient, UserId::new(), &sealed, NOW), Err(DeliveryError::Signature));
    assert_eq!(scene.open(&sealed, NOW), Ok("hunter2".into()));
}

#[test]
fn whatever_is_changed_is_noticed() {
    let scene = scene();
    let good = scene.seal();
    let other = scene.seal();
    let flipped = |text: &str| {
        let first = if text.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &text[1..])
    };
    for bad in [
        SealedCredential { key: "OTHER".into(), ..good.clone() },
        SealedCredential { credential_id: CredentialId::new(), ..good.clone() },
        SealedCredential { version: 4, ..good.clone() },
        SealedCredential { expires_at: good.expires_at + 1, ..good.clone() },
        SealedCredential { enc: other.enc.clone(), ..good.clone() },
        SealedCredential { ciphertext: other.ciphertext.clone(), ..good.clone() },
        SealedCredential { signature: other.signature.clone(), ..good.clone() },
        SealedCredential { ciphertext: flipped(&good.ciphertext), ..good.clone() },
        SealedCredential { signature: flipped(&good.signature), ..good.clone() },
    ] {
        assert_eq!(scene.open(&bad, NOW), Err(DeliveryError::Signature));
    }
    let unknown = SealedCredential { kid: "k2".into(), ..good.clone() };
    assert_eq!(scene.open(&unknown, NOW), Err(DeliveryError::UnknownKey));
    assert!(scene.open(&good, NOW).is_ok());
}

#[test]
fn a_platform_that_is_none_cannot_send() {
    let (scene, mut other) = (scene(), scene());
    other.tenant = scene.tenant;
    let to = verify(&scene.request, scene.toolbox, &scene.device.public_key()).expect("signed");
    let value = Secret::new("planted".into());
    let id = CredentialId::new();
    let delivery = Delivery { tenant: scene.tenant, id, version: 1, key: "TOKEN", value: &value, expires_at: None };
    let planted = seal(&delivery, &to, &other.minter, NOW).expect("sealed");
    assert_eq!(scene.open(&planted, NOW), Err(DeliveryError::Signature));
    let genuine = seal(&delivery, &to, &scene.minter, NOW).expect("sealed");
    assert!(scene.open(&genuine, NOW).is_ok());
}

#[test]
fn it_ends_with_its_time() {
    let scene = scene();
    let sealed = scene.seal();
    assert!(scene.open(&sealed, NOW + MAX_LIFE - 1).is_ok());
    assert_eq!(scene.open(&sealed, NOW + MAX_LIFE), Err(DeliveryError::Expired));

    let to = verify(&scene.request, scene.toolbox, &scene.device.public_key()).expect("signed");
    let value = Secret::new("short".into());
    let end = protocol::Timestamp::from_second(NOW + 10).ok();
    let id = CredentialId::new();
    let delivery = Delivery { tenant: scene.tenant, id, version: 1, key: "T", value: &value, expires_at: end };
    assert_eq!(seal(&delivery, &to, &scene.minter, NOW).expect("sealed").expires_at, NOW + 10);
}

#[test]
fn a_request_is_the_toolboxs_own() {
    let (scene, other) = (scene(), scene());
    let public = scene.device.public_key();
    assert!(verify(&scene.request, scene.toolbox, &public).is_ok());
    let refused = |request: &CredentialsRequest, toolbox| verify(request, toolbox, &public).err();
    assert_eq!(refused(&scene.request, ToolboxId::new()), Some(DeliveryError::Request));
    assert_eq!(refused(&other.request, scene.toolbox), Some(DeliveryError::Request));
    let good = &scene.request;
    for bad in [
        CredentialsRequest { server_id: ServerId::new(), ..good.clone() },
        CredentialsRequest { recipient_key: other.request.recipient_key.clone(), ..good.clone() },
        CredentialsRequest { nonce: other.request.nonce.clone(), ..good.clone() },
    ] {
        assert_eq!(refused(&bad, scene.toolbox), Some(DeliveryError::Request));
    }
    for bad in [
        CredentialsRequest { recipient_key: "AAAA".into(), ..good.clone() },
        CredentialsRequest { nonce: String::new(), ..good.clone() },
        CredentialsRequest { signature: "none".into(), ..good.clone() },
    ] {
        assert_eq!(refused(&bad, scene.toolbox), Some(DeliveryError::Malformed));
    }
}

#[test]
fn a_key_of_small_order_gets_nothing() {
    let mut scene = scene();
    scene.request.recipient_key = crate::bytes::encode([0; 32]);
    // The toolbox itself may sign such a key; what is sealed to it would be readable by anybody.
    let signature = scene.device.sign(&fields::encode(&[
        "agentopia/delivery-request/1",
        &scene.toolbox.to_string(),
        &scene.request.server_id.to_string(),
        &scene.request.recipient_key,
        &scene.request.nonce,
    ]));
    scene.request.signature = crate::bytes::encode(signature);
    let value = Secret::new("hunter2".into());
    let id = CredentialId::new();
    let delivery = Delivery { tenant: scene.tenant, id, version: 1, key: "T", value: &value, expires_at: None };
    let sealed = verify(&scene.request, scene.toolbox, &scene.device.public_key())
        .and_then(|to| seal(&delivery, &to, &scene.minter, NOW));
    assert_eq!(sealed.err(), Some(DeliveryError::Sealing));
}
