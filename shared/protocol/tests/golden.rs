//! Golden files: one message of each kind as the first version says it. Each must be understood for ever, and a newer
//! version of the type must say the same thing when nothing new is said. A file is added, never changed.

use protocol::{
    capability::{CapabilityReply, Claims},
    catalog::{SearchReply, ServerJson},
    chat::ChatReply,
    toolbox::{
        CheckInReply, CheckInRequest, CredentialsReply, CredentialsRequest, EnrolReply, EnrolRequest, ToolboxCreate,
        ToolboxCreated,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn keeps<T: Serialize + DeserializeOwned>(name: &str) {
    let path = format!("{}/golden/v1/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let understood: T = serde_json::from_value(golden.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let said = serde_json::to_value(&understood).expect("it can be said");
    assert_says(&said, &golden, name);
}

/// All that stood in the golden file stands in what is said now; what is new may stand beside it.
fn assert_says(said: &Value, golden: &Value, at: &str) {
    match (said, golden) {
        (Value::Object(said), Value::Object(golden)) => {
            for (key, value) in golden {
                let said = said.get(key).unwrap_or_else(|| panic!("{at}.{key} is not said any more"));
                assert_says(said, value, &format!("{at}.{key}"));
            }
        }
        (Value::Array(said), Value::Array(golden)) => {
            assert_eq!(said.len(), golden.len(), "{at}");
            said.iter().zip(golden).enumerate().for_each(|(i, (s, g))| assert_says(s, g, &format!("{at}[{i}]")));
        }
        _ => assert_eq!(said, golden, "{at}"),
    }
}

#[test]
fn what_the_toolbox_says_is_kept() {
    keeps::<EnrolRequest>("enrol_request");
    keeps::<EnrolRequest>("enrol_request_certificate");
    keeps::<CheckInRequest>("checkin_request");
    keeps::<CredentialsRequest>("credentials_request");
}

#[test]
fn what_the_toolbox_is_told_is_kept() {
    keeps::<EnrolReply>("enrol_reply");
    keeps::<CheckInReply>("checkin_reply");
    keeps::<CredentialsReply>("credentials_reply");
    keeps::<Claims>("claims");
}

#[test]
fn what_users_programs_read_is_kept() {
    keeps::<ChatReply>("chat_reply");
    keeps::<SearchReply>("search_reply");
    keeps::<CapabilityReply>("capability_reply");
    keeps::<ServerJson>("server_json");
    keeps::<ToolboxCreate>("toolbox_create");
    keeps::<ToolboxCreated>("toolbox_created");
}

#[test]
fn a_newer_control_plane_is_understood_by_an_older_toolbox() {
    let path = format!("{}/golden/v1/checkin_reply.json", env!("CARGO_MANIFEST_DIR"));
    let mut golden: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON");
    golden["something_new"] = true.into();
    golden["desired"]["servers"][0]["something_new"] = true.into();
    serde_json::from_value::<CheckInReply>(golden).expect("what is new is passed over");
}

#[test]
fn what_a_toolbox_makes_up_is_refused() {
    let path = format!("{}/golden/v1/checkin_request.json", env!("CARGO_MANIFEST_DIR"));
    let mut golden: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("JSON");
    serde_json::from_value::<CheckInRequest>(golden.clone()).expect("as it stands it is good");
    golden["made_up"] = true.into();
    assert!(serde_json::from_value::<CheckInRequest>(golden).is_err());
}
