use super::*;
use proptest::prelude::*;

fn binding(kind: &str) -> Binding<'_> {
    let user = UserId::from(Uuid::from_u128(1));
    Binding { tenant: user, owner: user, secret: Uuid::from_u128(2), version: 3, kind, key_id: "k" }
}

fn sealed() -> (Key, Envelope) {
    let key = random_key().expect("random");
    let envelope = seal(&key, &binding("credential"), b"hunter2").expect("sealed");
    (key, envelope)
}

#[test]
fn what_was_sealed_opens() {
    let (key, envelope) = sealed();
    assert_eq!(*open(&key, &binding("credential"), &envelope).expect("opens"), b"hunter2");
    assert!(!envelope.ciphertext.windows(7).any(|part| part == b"hunter2"));
    let text = serde_json::to_string(&envelope).expect("json");
    assert_eq!(serde_json::from_str::<Envelope>(&text).expect("json"), envelope);
}

#[test]
fn it_opens_for_nothing_else() {
    let (key, envelope) = sealed();
    let good = binding("credential");
    let other = UserId::from(Uuid::from_u128(9));
    for wrong in [
        Binding { tenant: other, ..good },
        Binding { owner: other, ..good },
        Binding { secret: Uuid::from_u128(9), ..good },
        Binding { version: 4, ..good },
        Binding { kind: "data-key", ..good },
        Binding { key_id: "l", ..good },
    ] {
        assert_eq!(open(&key, &wrong, &envelope).err(), Some(EnvelopeError::Opening), "{wrong:?}");
    }
    assert!(open(&random_key().expect("random"), &good, &envelope).is_err());
    assert!(open(&key, &good, &envelope).is_ok());
}

#[test]
fn a_way_that_is_not_known_is_not_tried() {
    let (key, envelope) = sealed();
    for wrong in
        [Envelope { version: 2, ..envelope.clone() }, Envelope { algorithm: "none".into(), ..envelope.clone() }]
    {
        assert_eq!(open(&key, &binding("credential"), &wrong).err(), Some(EnvelopeError::Algorithm));
    }
}

#[test]
fn two_envelopes_of_one_value_have_nothing_in_common() {
    let key = random_key().expect("random");
    let [a, b] = [(); 2].map(|()| seal(&key, &binding("credential"), b"hunter2").expect("sealed"));
    assert!(a.salt != b.salt && a.nonce != b.nonce && a.commitment != b.commitment && a.ciphertext != b.ciphertext);
}

#[test]
fn only_32_bytes_are_a_key() {
    let (outer, inner) = (random_key().expect("random"), random_key().expect("random"));
    let envelope = seal(&outer, &binding("data-key"), &*inner).expect("sealed");
    assert_eq!(*open_key(&outer, &binding("data-key"), &envelope).expect("opens"), *inner);
    let short = seal(&outer, &binding("data-key"), &inner[..31]).expect("sealed");
    assert!(open_key(&outer, &binding("data-key"), &short).is_err());
}

proptest! {
    #[test]
    fn any_bit_flipped_does_not_open(value: Vec<u8>, field in 0..4usize, place: usize, bit in 0..8u8) {
        let key = random_key().expect("random");
        let good = seal(&key, &binding("credential"), &value).expect("sealed");
        let mut bad = good.clone();
        let bytes: &mut [u8] = match field {
            0 => &mut bad.salt,
            1 => &mut bad.nonce,
            2 => &mut bad.commitment,
            _ => &mut bad.ciphertext,
        };
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        prop_assert_eq!(open(&key, &binding("credential"), &bad).err(), Some(EnvelopeError::Opening));
        let opened = open(&key, &binding("credential"), &good).expect("opens");
        prop_assert_eq!(&*opened, &value);
    }
}
