//! Length-prefixed fields. Two lists of fields never encode to the same bytes, which concatenation cannot promise.

/// Each field as its length (eight bytes, big-endian) and its bytes.
pub fn encode<F: AsRef<[u8]>>(fields: &[F]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        let field = field.as_ref();
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::encode;
    use proptest::prelude::*;

    #[test]
    fn moving_a_byte_to_the_next_field_is_another_list() {
        assert_ne!(encode(&["ab", "c"]), encode(&["a", "bc"]));
        assert_ne!(encode(&["a", ""]), encode(&["", "a"]));
        assert_ne!(encode(&["a"]), encode(&["a", ""]));
    }

    proptest! {
        #[test]
        fn different_lists_are_different_bytes(a in any::<Vec<Vec<u8>>>(), b in any::<Vec<Vec<u8>>>()) {
            prop_assert_eq!(encode(&a) == encode(&b), a == b);
        }
    }
}
