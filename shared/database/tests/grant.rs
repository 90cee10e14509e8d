//! Grants, capabilities and what takes them away, as the database decides them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use database::{Caller, Error, agent::NewAgent, server::Wanted};
use protocol::{
    capability::{CapabilityRequest, RiskClass},
    grant::{GrantCreate, GrantState},
    ids::*,
    server::{ServerState, ServerStatus, Source, Tool},
    toolbox::{CheckInReply, CheckInRequest, EnrolRequest},
};
use serde_json::{Value, json};
use testkit::TestDatabase;

/// A user with an enrolled toolbox.
struct Home {
    db: TestDatabase,
    owner: UserId,
    user: Caller,
    toolbox: ToolboxId,
    sequence: std::cell::Cell<u64>,
}

impl Home {
    async fn new() -> Self {
        let db = testkit::database().await;
        let owner = testkit::user(&db).await;
        let user = Caller::user(owner);
        let toolbox = db.database.toolbox_create(&user, "home", "hash").await.unwrap();
        let request = EnrolRequest {
            public_key: "key".into(),
            gateway: "http://127.0.0.1:1/mcp".into(),
            version: "1".into(),
            certificate: None,
        };
        db.database.toolbox_enrol(&Caller::service(), "hash", &request).await.unwrap();
        Self { db, owner, user, toolbox, sequence: 0.into() }
    }

    async fn agent(&self, packages: &[&str]) -> (AgentId, Vec<ServerId>) {
        let servers = packages.iter().map(|package| wanted(package)).collect();
        let agent =
            NewAgent { name: "a".into(), request: "r".into(), plan: None, workflow: None, toolbox_id: None, servers };
        let made = self.db.database.agent_create(&self.user, &agent).await.unwrap();
        (made.agent_id, made.servers.into_iter().map(|server| server.id).collect())
    }

    /// The server lists these tools, each with a digest.
    async fn lists(&self, server: ServerId, tools: &[(&str, char)]) -> CheckInReply {
        let tools = tools.iter().map(|(name, digest)| Tool {
            name: (*name).into(),
            digest: digest.to_string().repeat(64),
            definition: json!({"name": name}),
        });
        self.sequence.set(self.sequence.get() + 1);
        let request = CheckInRequest {
            boot_id: "boot".into(),
            sequence: self.sequence.get(),
            sent_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            version: "1".into(),
            gateway: "http://127.0.0.1:1/mcp".into(),
            known_generation: 0,
            applied_generation: 0,
            revocation_sequence: 0,
            servers: vec![ServerStatus {
                id: server,
                state: ServerState::Running,
                revision: 0,
                detail: None,
                exit_code: None,
                log_tail: Vec::new(),
                pinned: None,
                tools: Some(tools.collect()),
                started_at: None,
            }],
            docker: true,
            trouble: None,
        };
        let caller = Caller::toolbox(self.toolbox, self.owner);
        self.db.database.toolbox_checkin(&caller, &request, |_| RiskClass::Read).await.unwrap()
    }

    async fn grant(&self, agent: AgentId, server: ServerId, tool: &str) -> Result<GrantId, Error> {
        self.grant_with(agent, server, tool, None, None).await
    }

    async fn grant_with(
        &self,
        agent: AgentId,
        server: ServerId,
        tool: &str,
        args: Option<Value>,
        seconds: Option<i64>,
    ) -> Result<GrantId, Error> {
        let now = self.db.value("select floor(extract(epoch from now()))::bigint::text").await.unwrap();
        let at = |seconds| protocol::Timestamp::from_second(now.parse::<i64>().unwrap() + seconds).unwrap();
        let request = GrantCreate {
            agent_id: agent,
            server_id: server,
            tool: tool.into(),
            digest: None,
            args,
            why: "for the test".into(),
            expires_at: seconds.map(at),
        };
        self.db.database.grant_create(&self.user, &request).await.map(|grant| grant.id)
    }

    async fn issue(&self, agent: Option<AgentId>) -> database::grant::Issued {
        let request = CapabilityRequest { agent_id: agent, toolbox_id: None, run_id: None };
        self.db.database.capability_issue(&self.user, &request).await.unwrap()
    }

    /// `server.tool` of everything in the agent's capability.
    async fn tools(&self, agent: Option<AgentId>) -> Vec<String> {
        self.issue(agent).await.tools.iter().map(|tool| format!("{}.{}", tool.server, tool.tool)).collect()
    }
}

fn wanted(package: &str) -> Wanted {
    Wanted {
        name: Some(package.into()),
        suggested: package.into(),
        catalog_name: None,
        source: Source::Npx { package: package.into(), version: None },
        pinned: false,
        args: Vec::new(),
        env: Default::default(),
        secrets: Vec::new(),
        hosts: Vec::new(),
    }
}

#[tokio::test]
async fn a_capability_holds_the_founding_tools_of_the_agents_own_servers() {
    let home = Home::new().await;
    let (one, servers) = home.agent(&["time", "memory"]).await;
    let (other, more) = home.agent(&["files"]).await;
    assert_eq!(home.tools(Some(one)).await, Vec::<String>::new());
    home.lists(servers[0], &[("get", 'a'), ("convert", 'b')]).await;
    home.lists(servers[1], &[("read", 'c')]).await;
    home.lists(more[0], &[("write", 'd')]).await;
    assert_eq!(home.tools(Some(one)).await, ["memory.read", "time.convert", "time.get"]);
    assert_eq!(home.tools(Some(other)).await, ["files.write"]);
    // The user's own agent may use whatever was deployed.
    assert_eq!(home.tools(None).await, ["files.write", "memory.read", "time.convert", "time.get"]);
    let issued = home.issue(Some(one)).await;
    assert_eq!((issued.owner, issued.toolbox_id, issued.agent_id), (home.owner, home.toolbox, one));
    assert_eq!(issued.expires_at - issued.now, 900);
    assert_eq!(issued.tools[0].digest, "c".repeat(64));
    assert_eq!(issued.gateway, "http://127.0.0.1:1/mcp");
}

#[tokio::test]
async fn a_tool_that_came_later_needs_a_grant_of_its_own() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time"]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    home.lists(servers[0], &[("get", 'a'), ("set", 'b')]).await;
    assert_eq!(home.tools(Some(agent)).await, ["time.get"]);
    home.grant(agent, servers[0], "*").await.unwrap();
    assert_eq!(home.tools(Some(agent)).await, ["time.get"]);
    home.grant(agent, servers[0], "set").await.unwrap();
    assert_eq!(home.tools(Some(agent)).await, ["time.get", "time.set"]);
    assert!(matches!(home.grant(agent, servers[0], "other").await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_changed_tool_stops_until_it_is_granted_again() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time"]).await;
    home.lists(servers[0], &[("get", 'a'), ("set", 'b')]).await;
    home.lists(servers[0], &[("get", 'c'), ("set", 'b')]).await;
    assert_eq!(home.tools(Some(agent)).await, ["time.set"]);
    home.grant(agent, servers[0], "get").await.unwrap();
    let issued = home.issue(Some(agent)).await;
    assert_eq!(issued.tools[0].digest, "c".repeat(64));
    // A tool that is gone is not in it, and is again once it is back.
    home.lists(servers[0], &[("get", 'c')]).await;
    assert_eq!(home.tools(Some(agent)).await, ["time.get"]);
    home.lists(servers[0], &[("get", 'c'), ("set", 'b')]).await;
    assert_eq!(home.tools(Some(agent)).await, ["time.get", "time.set"]);
}

#[tokio::test]
async fn a_capability_ends_with_the_first_grant_that_ends() {
    let home = Home::new().await;
    let (_, servers) = home.agent(&["time"]).await;
    let (other, _) = home.agent(&[]).await;
    home.lists(servers[0], &[("get", 'a'), ("set", 'b')]).await;
    home.grant_with(other, servers[0], "get", None, Some(100)).await.unwrap();
    home.grant_with(other, servers[0], "set", None, Some(3000)).await.unwrap();
    let issued = home.issue(Some(other)).await;
    assert!((80..=100).contains(&(issued.expires_at - issued.now)), "{issued:?}");
    assert!(matches!(home.grant_with(other, servers[0], "get", None, Some(-1)).await, Err(Error::Invalid { .. })));
    home.db.run("update app.tool_grant set expires_at = now() - interval '1 second' where tool = 'get'").await;
    assert_eq!(home.tools(Some(other)).await, ["time.set"]);
    let list = home.db.database.grant_list(&home.user, Some(other)).await.unwrap();
    assert_eq!(list.iter().filter(|grant| grant.state == GrantState::Expired).count(), 1);
}

#[tokio::test]
async fn conditions_stand_beside_each_other_and_yield_to_none() {
    let home = Home::new().await;
    let (_, servers) = home.agent(&["time"]).await;
    let (other, _) = home.agent(&[]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    for city in ["Tokyo", "Oslo"] {
        let args = json!({"properties": {"city": {"const": city}}});
        home.grant_with(other, servers[0], "get", Some(args), None).await.unwrap();
    }
    let issued = home.issue(Some(other)).await;
    assert_eq!(issued.tools.iter().filter(|tool| tool.args.is_some()).count(), 2);
    home.grant(other, servers[0], "get").await.unwrap();
    let issued = home.issue(Some(other)).await;
    assert_eq!(issued.tools.iter().map(|tool| tool.args.clone()).collect::<Vec<_>>(), [None]);
}

#[tokio::test]
async fn taking_a_grant_ends_every_capability_of_its_agent() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time", "memory"]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    home.lists(servers[1], &[("read", 'b')]).await;
    let before = home.issue(Some(agent)).await.epoch;
    let grants = home.db.database.grant_list(&home.user, Some(agent)).await.unwrap();
    let time = grants.iter().find(|grant| grant.server == "time").unwrap();
    let told = home.db.database.grant_delete(&home.user, time.id).await.unwrap();
    assert_eq!(told.iter().map(|one| one.id).collect::<Vec<_>>(), [home.toolbox]);
    assert_eq!(home.tools(Some(agent)).await, ["memory.read"]);
    let reply = home.lists(servers[0], &[("get", 'a')]).await;
    assert_eq!(reply.revocations.epochs.get(&agent), Some(&(before + 1)));
    assert_eq!(reply.revocations.sequence, 1);
    // The user's own agent keeps its grants and its capabilities.
    assert_eq!(home.tools(None).await, ["memory.read", "time.get"]);
    assert_eq!(reply.revocations.epochs.len(), 1);
    // A second time changes nothing more.
    home.db.database.grant_delete(&home.user, time.id).await.unwrap();
    assert_eq!(home.issue(Some(agent)).await.epoch, before + 1);
}

#[tokio::test]
async fn a_deleted_agents_capabilities_are_revoked_too() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time"]).await;
    let (_, kept) = home.agent(&["memory"]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    home.db.database.agent_delete(&home.user, agent).await.unwrap();
    let reply = home.lists(kept[0], &[]).await;
    assert_eq!(reply.revocations.epochs.get(&agent), Some(&1));
    let request = CapabilityRequest { agent_id: Some(agent), toolbox_id: None, run_id: None };
    let issued = home.db.database.capability_issue(&home.user, &request).await;
    assert!(matches!(issued, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn nobody_grants_or_issues_over_another_users_rows() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time"]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    let grant = home.db.database.grant_list(&home.user, Some(agent)).await.unwrap().remove(0).id;
    let stranger = Caller::user(testkit::user(&home.db).await);
    let database = &home.db.database;
    let mine = database.agent_list(&stranger).await.unwrap().remove(0).id;
    for agent_id in [agent, mine] {
        let (tool, why) = ("get".into(), "mine".into());
        let request =
            GrantCreate { agent_id, server_id: servers[0], tool, digest: None, args: None, why, expires_at: None };
        assert!(matches!(database.grant_create(&stranger, &request).await, Err(Error::NotFound { .. })));
    }
    assert!(matches!(database.grant_delete(&stranger, grant).await, Err(Error::NotFound { .. })));
    assert_eq!(database.grant_list(&stranger, None).await.unwrap().len(), 0);
    assert_eq!(database.grant_list(&stranger, Some(agent)).await.unwrap().len(), 0);
    for (agent_id, toolbox_id) in [(Some(agent), None), (None, Some(home.toolbox))] {
        let request = CapabilityRequest { agent_id, toolbox_id, run_id: None };
        assert!(matches!(database.capability_issue(&stranger, &request).await, Err(Error::NotFound { .. })));
    }
    // A toolbox asks for none of these, not even its owner's.
    let device = Caller::toolbox(home.toolbox, home.owner);
    assert!(matches!(database.grant_list(&device, None).await, Err(Error::Forbidden { .. })));
    let request = CapabilityRequest { agent_id: Some(agent), toolbox_id: None, run_id: None };
    assert!(matches!(database.capability_issue(&device, &request).await, Err(Error::Forbidden { .. })));
    assert_eq!(database.capability_issue(&home.user, &request).await.unwrap().tools.len(), 1);
}

#[tokio::test]
async fn what_time_has_ended_is_swept_once() {
    let home = Home::new().await;
    let (agent, servers) = home.agent(&["time"]).await;
    home.lists(servers[0], &[("get", 'a')]).await;
    home.grant_with(agent, servers[0], "get", None, Some(100)).await.unwrap();
    home.db.database.toolbox_create(&home.user, "new", "other").await.unwrap();
    let count = |swept: &database::grant::Swept| swept.0.values().sum::<u64>();
    home.db.run("update app.plane set alive_at = now(), resumed_at = '-infinity'").await;
    let quiet = home.db.database.sweep_run(&Caller::service()).await.unwrap();
    assert_eq!(count(&quiet), 0, "{quiet:?}");
    home.db.run("update app.tool_grant set expires_at = now() where expires_at is not null").await;
    home.db.run("update app.toolbox set enrolment_expires_at = now() where enrolment_hash is not null").await;
    home.db.run("update app.toolbox set last_seen_at = now() - interval '1 hour' where public_key is not null").await;
    home.db
        .run(&format!(
            "insert into app.revocation values (gen_random_uuid(), '{0}', 1, now() - interval '2 days'),
           (gen_random_uuid(), '{0}', 1, now())",
            home.owner
        ))
        .await;
    home.db
        .run(&format!(
            "insert into app.run (id, owner, agent_id, message, alive_at) values
               (gen_random_uuid(), '{0}', '{agent}', 'dead', now() - interval '11 minutes'),
               (gen_random_uuid(), '{0}', '{agent}', 'alive', now() - interval '9 minutes')",
            home.owner
        ))
        .await;
    let swept = home.db.database.sweep_run(&Caller::service()).await.unwrap();
    let expected = [
        ("enrolments", 1),
        ("events", 0),
        ("grants", 1),
        ("revocations", 1),
        ("runs", 1),
        ("sessions", 0),
        ("toolboxes", 1),
    ];
    assert_eq!(swept.0, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    assert_eq!(home.db.value("select state from app.toolbox where name = 'home'").await.as_deref(), Some("offline"));
    let ended = "select string_agg(r.message || ' ' || r.state || coalesce(' ' || e.kind, ''), ', ' order by r.message)
        from app.run r left join app.run_event e on e.run_id = r.id and e.sequence = r.sequence";
    assert_eq!(home.db.value(ended).await.as_deref(), Some("alive running, dead failed run.finished"));
    assert_eq!(count(&home.db.database.sweep_run(&Caller::service()).await.unwrap()), 0);
    assert!(matches!(home.db.database.sweep_run(&home.user).await, Err(Error::Forbidden { .. })));
}

/// The vault keeps credentials under the entry's name, so another entry's server would never get them.
#[tokio::test]
async fn a_server_with_secrets_is_shared_within_its_entry_only() {
    let home = Home::new().await;
    let create = async |package: &str, entry: Option<&str>, secrets: &[&str]| {
        let secrets = secrets.iter().map(|key| (*key).to_owned()).collect();
        let asked = Wanted { catalog_name: entry.map(Into::into), secrets, ..wanted(package) };
        home.db.database.server_create(&home.user, home.toolbox, &asked).await.unwrap().server.spec.id
    };
    let first = create("linear", Some("app.linear/linear"), &["KEY"]).await;
    assert_eq!(create("linear", Some("app.linear/linear"), &["KEY"]).await, first);
    assert_ne!(create("linear", Some("somebody.else/linear"), &["KEY"]).await, first);
    assert_ne!(create("linear", None, &["KEY"]).await, first);
    // Without secrets it does not matter whose entry it is.
    let plain = create("time", Some("a.b/time"), &[]).await;
    assert_eq!(create("time", None, &[]).await, plain);
}
