//! Bytes as base64url text in JSON.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: TryFrom<Vec<u8>>>(from: D) -> Result<B, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    decode(&text).ok_or_else(|| D::Error::custom("not bytes of the right length in base64url"))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode<B: TryFrom<Vec<u8>>>(text: &str) -> Option<B> {
    B::try_from(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
