//! Properties: whatever is changed in a token, it is refused.

use crate::common::*;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use capability::*;
use proptest::prelude::*;
use protocol::ids::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);
static TOKEN: LazyLock<String> = LazyLock::new(|| PLACE.token());

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with that header over the good claims, signed by the right key.
fn with_header(header: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(&json!(PLACE.claims())));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(PLACE.minter.key().sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

proptest! {
    #[test]
    fn any_bit_flipped_is_refused(place in 0..TOKEN.len(), bit in 0..7u8, cached: bool) {
        if cached {
            prop_assert!(PLACE.verifier.verify(&TOKEN, NOW).is_ok());
        }
        let mut bytes = TOKEN.clone().into_bytes();
        bytes[place] ^= 1 << bit;
        let forged = String::from_utf8(bytes).expect("seven bits");
        prop_assert!(PLACE.verifier.verify(&forged, NOW).is_err());
    }

    #[test]
    fn anything_put_in_or_cut_off_is_refused(place in 0..TOKEN.len(), text in "[A-Za-z0-9_.=-]{1,4}") {
        let mut longer = TOKEN.clone();
        longer.insert_str(place, &text);
        prop_assert!(PLACE.verifier.verify(&longer, NOW).is_err());
        let after = format!("{}{text}", *TOKEN);
        prop_assert!(PLACE.verifier.verify(&after, NOW).is_err());
        prop_assert!(PLACE.verifier.verify(&TOKEN[..place], NOW).is_err());
        prop_assert!(PLACE.verifier.verify(&TOKEN, NOW).is_ok());
    }

    #[test]
    fn any_other_key_is_refused(seed: [u8; 32]) {
        let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).expect("any seed is a key");
        let signed = TOKEN.rsplit_once('.').expect("three parts").0;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        let forged = format!("{signed}.{signature}");
        prop_assert_eq!(PLACE.verifier.verify(&forged, NOW).err(), Some(Refusal::Signature));
    }

    #[test]
    fn any_other_audience_is_refused(id: [u8; 16], text in ".{0,60}") {
        let mut claims = PLACE.claims();
        for aud in [format!("toolbox:{}", ToolboxId::from(uuid(id))), text] {
            claims.aud = aud;
            let token = PLACE.minter.mint(&claims).expect("minted");
            prop_assert_eq!(PLACE.verifier.verify(&token, NOW).err(), Some(Refusal::Audience));
        }
    }

    #[test]
    fn noise_is_refused(noise in ".{0,200}") {
        prop_assert!(PLACE.verifier.verify(&noise, NOW).is_err());
        prop_assert!(device::claimed_toolbox(&noise).is_err());
    }
}

fn uuid(bytes: [u8; 16]) -> uuid::Uuid {
    uuid::Uuid::from_bytes(bytes)
}

#[test]
fn the_header_decides_nothing() {
    let good = json!({"alg": "EdDSA", "typ": "capability+jwt", "kid": "k1"});
    assert!(PLACE.verifier.verify(&with_header(&good), NOW).is_ok());
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("eddsa")),
        ("alg", json!("ES256")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("device+jwt")),
        ("kid", json!("k2")),
        ("kid", json!("../k1")),
        ("kid", Value::Null),
        ("jku", json!("https://example.com")),
        ("jwk", json!({})),
        ("x5u", json!("x")),
        ("crit", json!([])),
        ("b64", json!(false)),
    ] {
        let mut header = good.clone();
        header[name] = value.clone();
        assert!(PLACE.verifier.verify(&with_header(&header), NOW).is_err(), "{name}: {value}");
    }
}

#[test]
fn unsigned_and_hmac_tokens_are_refused() {
    let (signed, _) = TOKEN.rsplit_once('.').expect("three parts");
    assert!(PLACE.verifier.verify(&format!("{signed}."), NOW).is_err());
    let public = PLACE.minter.key().public_key();
    let hmac = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes()), signed.as_bytes());
    let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(hmac.as_ref()));
    assert_eq!(PLACE.verifier.verify(&token, NOW).err(), Some(Refusal::Signature));
}

#[test]
fn claims_are_strict() {
    let sign = |claims: String| {
        let header = part(&json!({"alg": "EdDSA", "typ": "capability+jwt", "kid": "k1"}));
        let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(PLACE.minter.key().sign(signed.as_bytes())))
    };
    let good = json!(PLACE.claims()).to_string();
    assert!(PLACE.verifier.verify(&sign(good.clone()), NOW).is_ok());
    for bad in [
        good.replacen('{', "{\"extra\":1,", 1),
        good.replacen("\"ep\":7", "\"ep\":7,\"ep\":8", 1),
        good.replacen("\"ep\":7", "\"ep\":-1", 1),
        good.replacen("agent:", "user:", 1),
        good.replacen("\"class\":\"read\"", "\"class\":\"harmless\"", 1),
        format!("{good} {{}}"),
    ] {
        assert_ne!(bad, good);
        assert_eq!(PLACE.verifier.verify(&sign(bad.clone()), NOW).err(), Some(Refusal::Malformed), "{bad}");
    }
}

#[test]
fn the_three_kinds_of_token_are_not_mistaken_for_each_other() {
    let toolbox = PLACE.bearer.toolbox;
    let control = control::sign(&PLACE.minter, toolbox, control::Action::Wake, NOW).expect("signed");
    let device = device::sign(PLACE.minter.key(), toolbox, NOW).expect("signed");
    let public = PLACE.minter.key().public_key();
    assert!(control::verify(&PLACE.verifier, &control, NOW).is_ok());
    assert!(device::verify(&public, &device, NOW).is_ok());
    for other in [&control, &device] {
        assert_eq!(PLACE.verifier.verify(other, NOW).err(), Some(Refusal::Malformed));
    }
    for other in [&TOKEN, &device] {
        assert!(control::verify(&PLACE.verifier, other, NOW).is_err());
    }
    for other in [&TOKEN, &control] {
        assert!(device::verify(&public, other, NOW).is_err());
    }
}
