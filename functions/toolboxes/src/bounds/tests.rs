use super::*;
use protocol::{
    ids::ServerId,
    server::{ServerState, ServerStatus},
};
use serde_json::json;

fn request(tools: Vec<Tool>, log_tail: Vec<String>) -> CheckInRequest {
    CheckInRequest {
        boot_id: "boot".to_owned(),
        sequence: 1,
        sent_at: jiff::Timestamp::UNIX_EPOCH,
        version: "0.1.0".to_owned(),
        gateway: "http://127.0.0.1:8788/mcp".to_owned(),
        known_generation: 0,
        applied_generation: 0,
        revocation_sequence: 0,
        servers: vec![ServerStatus {
            id: ServerId::new(),
            state: ServerState::Running,
            revision: 0,
            detail: None,
            exit_code: None,
            log_tail,
            pinned: None,
            tools: Some(tools),
            started_at: None,
        }],
        docker: true,
        trouble: None,
    }
}

fn tool(name: &str, definition: Value) -> Tool {
    Tool { name: name.to_owned(), digest: "a".repeat(64), definition }
}

#[test]
fn what_a_server_says_is_cut_to_fit() {
    let tools = vec![
        tool("get", json!({"description": "a\0b", "k\0": ["\0"]})),
        tool("no spaces", json!({})),
        tool("", json!({})),
        Tool { digest: "A".repeat(64), ..tool("upper", json!({})) },
        tool("huge", json!("x".repeat(DEFINITION))),
    ];
    let lines = (0..30).map(|nth| format!("{nth}\0{}", "ü".repeat(3_000))).collect();
    let mut request = request(tools, lines);
    checkin(&mut request).unwrap();
    let server = &request.servers[0];
    assert_eq!(server.tools, Some(vec![tool("get", json!({"description": "ab", "k": [""]}))]));
    assert_eq!(server.log_tail.len(), LINES);
    assert!(server.log_tail[0].starts_with("10ü"));
    assert!(server.log_tail.iter().all(|line| line.chars().count() == LINE));
}

#[test]
fn what_the_toolbox_says_itself_is_refused_when_it_is_wrong() {
    let good = request(Vec::new(), Vec::new());
    assert!(checkin(&mut good.clone()).is_ok());
    for wrong in [
        CheckInRequest { gateway: "file:///etc/passwd".to_owned(), ..good.clone() },
        CheckInRequest { gateway: "https://user@box.example".to_owned(), ..good.clone() },
        CheckInRequest { boot_id: String::new(), ..good.clone() },
        CheckInRequest { version: "a b".to_owned(), ..good.clone() },
        CheckInRequest { sequence: u64::MAX, ..good.clone() },
        CheckInRequest { servers: vec![good.servers[0].clone(); SERVERS + 1], ..good.clone() },
    ] {
        assert_eq!(checkin(&mut wrong.clone()).unwrap_err().status().as_u16(), 422, "{wrong:?}");
    }
}
