//! Bodies as `@supabase/auth-js` sends and reads them. Fields that are not used here are ignored: its versions differ.

use super::error::Error;
use protocol::chat::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub(super) struct SignUp {
    pub email: String,
    pub password: Secret,
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct GrantType {
    pub grant_type: String,
}

/// Both grants' bodies; which fields must be there depends on the grant.
#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct Update {
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub(super) struct Scope {
    #[serde(default)]
    pub scope: Option<String>,
}

#[derive(Serialize)]
pub struct Session {
    pub access_token: String,
    pub token_type: &'static str,
    pub expires_in: i64,
    pub expires_at: i64,
    pub refresh_token: String,
    pub user: Value,
}

/// `GET /settings`: what a client may offer.
pub(super) fn settings() -> Value {
    json!({
        "external": {"email": true, "phone": false, "anonymous_users": false},
        "disable_signup": false,
        "mailer_autoconfirm": true,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
    })
}

/// An address in the one form that it is stored and compared in.
pub(super) fn email(text: &str) -> Result<String, Error> {
    let text = text.trim().to_lowercase();
    let (name, host) = text.rsplit_once('@').ok_or(Error::Email)?;
    let plain =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    if text.len() > 254 || !plain(name) || !plain(host) || host.starts_with('.') || host.ends_with('.') {
        return Err(Error::Email);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::email;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b c",
            "a@.b",
            "a@b.",
            "a@b@c",
            "a@b\n",
            &format!("{}@b", "a".repeat(254)),
        ] {
            assert!(email(text).is_err() || text.trim() != text, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn one_address_has_one_form(name in "[A-Za-z0-9.+_-]{1,20}", host in "[A-Za-z0-9-]{1,20}") {
            let text = format!("{name}@{host}");
            let form = email(&text).unwrap();
            prop_assert_eq!(email(&format!("  {} ", text.to_uppercase())).unwrap(), form.clone());
            prop_assert_eq!(email(&form).unwrap(), form);
        }
    }
}
