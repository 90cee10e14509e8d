//! Device tokens and control tokens.

use crate::common::*;
use capability::{control::Action, *};

#[test]
fn a_device_token_names_its_toolbox_for_a_minute() {
    let (place, other) = (Place::new(), Place::new());
    let (key, toolbox) = (place.minter.key(), place.bearer.toolbox);
    let token = device::sign(key, toolbox, NOW).expect("signed");
    assert_eq!(device::claimed_toolbox(&token), Ok(toolbox));
    let claims = device::verify(&key.public_key(), &token, NOW).expect("good");
    assert_eq!(claims.toolbox, toolbox);
    let again = device::sign(key, toolbox, NOW).expect("signed");
    assert_ne!(claims.jti, device::verify(&key.public_key(), &again, NOW).expect("good").jti);

    for (now, outcome) in
        [(NOW - 31, Some(Refusal::NotYet)), (NOW - 30, None), (NOW + 59, None), (NOW + 60, Some(Refusal::Expired))]
    {
        assert_eq!(device::verify(&key.public_key(), &token, now).err(), outcome);
    }
    let foreign = device::verify(&other.minter.key().public_key(), &token, NOW);
    assert_eq!(foreign.err(), Some(Refusal::Signature));
    assert_eq!(device::claimed_toolbox(&"a".repeat(3000)).err(), Some(Refusal::TooLarge));
}

#[test]
fn a_control_token_is_for_one_toolbox_and_a_minute() {
    let (place, other) = (Place::new(), Place::new());
    for action in [Action::Wake, Action::Logs] {
        let token = control::sign(&place.minter, place.bearer.toolbox, action, NOW).expect("signed");
        assert_eq!(control::verify(&place.verifier, &token, NOW), Ok(action));
        assert_eq!(control::verify(&place.verifier, &token, NOW + 60).err(), Some(Refusal::Expired));
        assert_eq!(control::verify(&other.verifier, &token, NOW).err(), Some(Refusal::Signature));
        let elsewhere = control::sign(&place.minter, other.bearer.toolbox, action, NOW).expect("signed");
        assert_eq!(control::verify(&place.verifier, &elsewhere, NOW).err(), Some(Refusal::Audience));
    }
}

#[test]
fn keys_travel_as_text_and_only_whole() {
    let public = Place::new().minter.key().public_key();
    assert_eq!(public.to_string().parse(), Ok(public));
    for bad in ["", "AAAA", &format!("{public}="), &format!("{public}A"), "!".repeat(43).as_str()] {
        assert_eq!(bad.parse::<PublicKey>(), Err(KeyError::Public));
    }
    assert_eq!(SigningKey::from_pkcs8(b"not a key").err(), Some(KeyError::Private));
}
