//! What the check of a cached token costs: prints p50 and p99 in microseconds as JSON, for tokens of some sizes.

use capability::{Bearer, Minter, SigningKey, Verifier};
use protocol::{
    capability::{GrantedTool, RiskClass},
    ids::*,
    toolbox::Revocations,
};
use serde_json::json;
use std::{collections::BTreeMap, time::Instant};

const NOW: i64 = 1_800_000_000;
const CALLS: usize = 20_000;

fn main() {
    let minter = Minter::from_pkcs8("k1", &SigningKey::generate().expect("random numbers")).expect("a key");
    let bearer = Bearer { toolbox: ToolboxId::new(), owner: UserId::new(), agent: AgentId::new(), run: None, epoch: 1 };
    let keys = BTreeMap::from([("k1".to_owned(), minter.key().public_key().to_string())]);
    let mut rows = Vec::new();
    for tools in [1, 40, 150] {
        let verifier = Verifier::new(&keys, bearer.toolbox, bearer.owner).expect("a key");
        let revoked = (0..1000).map(|n| format!("revoked-{n}")).collect();
        let list = Revocations { sequence: 1, epochs: BTreeMap::from([(bearer.agent, 1)]), revoked };
        verifier.set_revocations(&list, NOW).expect("the first list");
        let claims = bearer.claims((0..tools).map(tool).collect(), NOW, None).expect("claims");
        let token = minter.mint(&claims).expect("a token of allowed size");
        let arguments = json!({"path": "/data/reports/2026/november.md", "content": "a".repeat(200)});
        let check = |place: usize| {
            let checked = verifier.verify(&token, NOW).expect("a good token");
            checked.allows("files", &format!("tool{}", place % tools), &"d".repeat(64), &arguments).expect("granted");
        };
        let first = micros(|| check(0));
        (0..tools).for_each(check);
        let mut costs: Vec<f64> = (0..CALLS).map(|place| micros(|| check(place))).collect();
        costs.sort_by(f64::total_cmp);
        rows.push(json!({
            "tools": tools, "token_bytes": token.len(), "first_us": first,
            "p50_us": costs[CALLS / 2], "p99_us": costs[CALLS * 99 / 100],
        }));
    }
    println!("{}", json!({ "permission_check": rows }));
}

fn tool(place: usize) -> GrantedTool {
    GrantedTool {
        server: "files".into(),
        tool: format!("tool{place}"),
        digest: "d".repeat(64),
        args: Some(
            json!({"required": ["path"], "properties": {"path": {"type": "string", "format": "path-within", "within": ["/data"]}}}),
        ),
        class: RiskClass::Write,
    }
}

fn micros(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / 1000.0
}
