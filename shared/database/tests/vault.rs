//! The vault over a real database.

use database::{Caller, Database, Error, vault::Written};
use protocol::{Timestamp, chat::Secret, ids::*, vault::Credential};
use sealing::{KeyFile, Vault, vault::Rewrapped};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};
use testkit::TestDatabase;

struct Scene {
    db: TestDatabase,
    /// Goes with the scene.
    _folder: tempfile::TempDir,
    path: PathBuf,
    owner: UserId,
}

impl Scene {
    async fn new() -> Self {
        let db = testkit::database().await;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vault.key");
        KeyFile::open_or_create(&path).expect("created");
        let owner = testkit::user(&db).await;
        Self { db, _folder: folder, path, owner }
    }

    fn vault(&self) -> Vault<Database> {
        Vault::new(self.db.database.clone(), Arc::new(KeyFile::open(&self.path).expect("the file")))
    }

    fn me(&self) -> Caller {
        Caller::user(self.owner)
    }

    async fn store(&self, server: &str, key: &str, value: &str) -> Written {
        self.store_as(self.owner, server, key, value).await
    }

    async fn store_as(&self, owner: UserId, server: &str, key: &str, value: &str) -> Written {
        let value = Secret::new(value.into());
        self.vault().store(&Caller::user(owner), server, key, &value, None).await.expect("stored")
    }

    async fn list(&self) -> Vec<Credential> {
        self.db.database.credential_list(&self.me()).await.expect("listed")
    }

    /// A toolbox of that user's, with a server that wants `A` and `B` of `io.example/server`.
    async fn deploy(&self, owner: UserId) -> (Caller, ToolboxId, ServerId) {
        let (toolbox, server) = (ToolboxId::new(), ServerId::new());
        self.db
            .run(&format!(
                "insert into app.toolbox (id, owner, name, gateway) values ('{toolbox}', '{owner}', '{toolbox}', 'http://127.0.0.1:1');
                 insert into app.server (id, owner, toolbox_id, name, catalog_name, source, secrets)
                   values ('{server}', '{owner}', '{toolbox}', 'it', 'io.example/server', '{{}}', '{{A,B}}')"
            ))
            .await;
        (Caller::toolbox(toolbox, owner), toolbox, server)
    }

    async fn release(
        &self,
        caller: &Caller,
        server: ServerId,
    ) -> Result<(Vec<String>, Vec<String>), sealing::Error<Error>> {
        let release = self.vault().release(caller, server).await?;
        let values = release.credentials.iter().map(|plain| format!("{}={}", plain.key, plain.value.expose()));
        Ok((values.collect(), release.missing))
    }

    async fn accesses(&self) -> Vec<String> {
        let rows = self.db.database.access_list(&self.me(), 100).await.expect("listed");
        rows.iter().map(|row| format!("{} {}", row.action, row.key)).collect()
    }

    async fn generation(&self, toolbox: ToolboxId) -> String {
        let sql = format!("select generation from app.toolbox where id = '{toolbox}'");
        self.db.value(&sql).await.expect("a number")
    }
}

fn is_not_found<T>(result: Result<T, sealing::Error<Error>>) -> bool {
    matches!(result, Err(sealing::Error::Store(Error::NotFound { .. })))
}

#[tokio::test]
async fn a_server_gets_its_own_secrets_and_the_audit_says_so() {
    let scene = Scene::new().await;
    let (caller, _, server) = scene.deploy(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    scene.store("io.example/server", "C", "not wanted").await;
    scene.store("io.example/other", "B", "another's").await;
    let got = scene.release(&caller, server).await.expect("released");
    assert_eq!(got, (vec!["A=one".into()], vec!["B".into()]));
    assert_eq!(scene.accesses().await, ["release A", "create B", "create C", "create A"]);
    let by = scene.db.value("select by from app.access where action = 'release'").await.expect("a row");
    assert!(by.starts_with("toolbox:"));
}

#[tokio::test]
async fn another_toolbox_or_user_gets_nothing() {
    let scene = Scene::new().await;
    let other = testkit::user(&scene.db).await;
    let (mine, toolbox, server) = scene.deploy(scene.owner).await;
    let (second, _, _) = scene.deploy(scene.owner).await;
    let (theirs, their_toolbox, their_server) = scene.deploy(other).await;
    scene.store("io.example/server", "A", "one").await;
    assert!(is_not_found(scene.release(&second, server).await));
    assert!(is_not_found(scene.release(&theirs, server).await));
    assert!(is_not_found(scene.release(&mine, their_server).await));
    // Claims that do not fit together, as no edge would make them.
    assert!(is_not_found(scene.release(&Caller::toolbox(toolbox, other), server).await));
    assert!(is_not_found(scene.release(&Caller::toolbox(their_toolbox, scene.owner), their_server).await));
    assert_eq!(scene.release(&theirs, their_server).await.expect("released").0, Vec::<String>::new());
    assert_eq!(scene.release(&mine, server).await.expect("released").0, ["A=one"]);
    let user = scene.release(&scene.me(), server).await;
    assert!(matches!(user, Err(sealing::Error::Store(Error::Forbidden { .. }))));
}

#[tokio::test]
async fn what_cannot_be_audited_is_not_released() {
    let scene = Scene::new().await;
    let (caller, _, server) = scene.deploy(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    scene.db.run("alter table app.access add constraint full_disk check (action <> 'release') not valid").await;
    assert!(scene.release(&caller, server).await.is_err());
    scene.db.run("alter table app.access drop constraint full_disk; create rule lost as on insert to app.access do instead nothing").await;
    assert!(scene.release(&caller, server).await.is_err());
    scene.db.run("drop rule lost on app.access").await;
    assert_eq!(scene.release(&caller, server).await.expect("released").0, ["A=one"]);
}

#[tokio::test]
async fn the_audit_cannot_be_rewritten() {
    let scene = Scene::new().await;
    scene.store("io.example/server", "A", "one").await;
    for change in ["delete from app.access", "update app.access set by = 'nobody'"] {
        let claims = json!({"role": "authenticated", "sub": scene.owner});
        scene
            .db
            .run(&format!(
                "begin; set local role agentopia_owner; select set_config('request.jwt.claims', '{claims}', true); {change}; commit"
            ))
            .await;
    }
    assert_eq!(scene.accesses().await, ["create A"]);
    let by = scene.db.value("select by from app.access").await.expect("a row");
    assert_eq!(by, format!("user:{}", scene.owner));
}

#[tokio::test]
async fn a_change_restarts_the_servers_that_use_it() {
    let scene = Scene::new().await;
    let (_, toolbox, server) = scene.deploy(scene.owner).await;
    let (_, elsewhere, _) = scene.deploy(testkit::user(&scene.db).await).await;
    let unused = scene.store("io.example/other", "A", "x").await;
    assert!(unused.toolboxes.is_empty());
    assert_eq!(scene.generation(toolbox).await, "0");

    let added = scene.store("io.example/server", "A", "one").await;
    assert_eq!(added.toolboxes.iter().map(|one| one.id).collect::<Vec<_>>(), [toolbox]);
    let value = Secret::new("two".into());
    scene.vault().rotate(&scene.me(), added.credential.id, &value).await.expect("rotated");
    scene.db.database.credential_delete(&scene.me(), added.credential.id).await.expect("deleted");
    assert_eq!(scene.generation(toolbox).await, "3");
    assert_eq!(scene.generation(elsewhere).await, "0");
    let revision = format!("select revision from app.server where id = '{server}'");
    assert_eq!(scene.db.value(&revision).await.as_deref(), Some("3"));
}

#[tokio::test]
async fn names_are_unique_and_lists_have_no_values() {
    let scene = Scene::new().await;
    let first = scene.store("s", "A", "hunter2").await.credential;
    let again = scene.store("s", "A", "hunter3").await.credential;
    assert_eq!((again.id, again.version), (first.id, 2));
    assert_eq!(scene.list().await, [again]);
    let raw: Value = scene.db.database.call(&scene.me(), "credential_list", &json!({})).await.expect("listed");
    assert!(!raw.to_string().contains("value") && !raw.to_string().contains("hunter"));
    assert_eq!(scene.db.value("select count(*) from app.credential_version").await.as_deref(), Some("1"));
    let stored = scene
        .db
        .value("select string_agg(v::text || t::text, '') from app.credential_version v, app.tenant_key t")
        .await;
    assert!(!stored.expect("rows").contains("hunter"));
}

#[tokio::test]
async fn another_users_credential_is_as_if_it_did_not_exist() {
    let scene = Scene::new().await;
    let mine = scene.store("s", "A", "one").await.credential;
    let other = Caller::user(testkit::user(&scene.db).await);
    let value = Secret::new("planted".into());
    assert!(is_not_found(scene.vault().rotate(&other, mine.id, &value).await));
    let deleted = scene.db.database.credential_delete(&other, mine.id).await;
    assert!(matches!(deleted, Err(Error::NotFound { .. })));
    assert!(scene.db.database.credential_list(&other).await.expect("listed").is_empty());
    assert!(scene.db.database.access_list(&other, 10).await.expect("listed").is_empty());
    assert_eq!(scene.list().await, [mine]);
}

#[tokio::test]
async fn an_expired_credential_is_gone_for_every_reader() {
    let scene = Scene::new().await;
    let (caller, _, server) = scene.deploy(scene.owner).await;
    let value = Secret::new("short".into());
    let soon = Timestamp::now() + std::time::Duration::from_secs(3600);
    let stored = scene.vault().store(&scene.me(), "io.example/server", "A", &value, Some(soon)).await.expect("stored");
    assert_eq!(scene.release(&caller, server).await.expect("released").0.len(), 1);
    assert_eq!(scene.db.database.credential_expire(&Caller::service()).await.expect("swept"), 0);

    scene.db.run("update app.credential set expires_at = now()").await;
    assert_eq!(scene.release(&caller, server).await.expect("released"), (vec![], vec!["A".into(), "B".into()]));
    assert!(scene.list().await.is_empty());
    assert!(is_not_found(scene.vault().rotate(&scene.me(), stored.credential.id, &value).await));
    assert_eq!(scene.db.database.credential_expire(&Caller::service()).await.expect("swept"), 1);
    assert_eq!(scene.db.value("select count(*) from app.credential_version").await.as_deref(), Some("0"));
    assert_eq!(scene.accesses().await, ["delete A", "release A", "create A"]);
}

#[tokio::test]
async fn what_runs_with_an_expired_credential_starts_anew_without_it() {
    let scene = Scene::new().await;
    let (_, mine, server) = scene.deploy(scene.owner).await;
    let other = testkit::user(&scene.db).await;
    let (_, theirs, _) = scene.deploy(other).await;
    scene.store("io.example/server", "A", "mine").await;
    scene.store_as(other, "io.example/server", "A", "theirs").await;
    let before = (scene.generation(mine).await, scene.generation(theirs).await);
    assert_eq!(scene.db.database.credential_expire(&Caller::service()).await.expect("swept"), 0);
    assert_eq!((scene.generation(mine).await, scene.generation(theirs).await), before, "nothing has ended");

    let revision = format!("select revision from app.server where id = '{server}'");
    let was = scene.db.value(&revision).await;
    scene.db.run(&format!("update app.credential set expires_at = now() where owner = '{}'", scene.owner)).await;
    assert_eq!(scene.db.database.credential_expire(&Caller::service()).await.expect("swept"), 1);
    assert_ne!(scene.generation(mine).await, before.0);
    assert_ne!(scene.db.value(&revision).await, was);
    assert_eq!(scene.generation(theirs).await, before.1, "another's is not touched");
}

#[tokio::test]
async fn swapped_rows_are_noticed() {
    let scene = Scene::new().await;
    let (caller, _, server) = scene.deploy(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    scene.store("io.example/server", "B", "two").await;
    let swap = "update app.credential_version a set value = b.value, data_key = b.data_key
        from app.credential_version b where a.credential_id <> b.credential_id";
    assert!(scene.release(&caller, server).await.is_ok());
    scene.db.run(swap).await;
    assert!(matches!(scene.release(&caller, server).await, Err(sealing::Error::Opening(_))));
    scene.db.run(swap).await;
    assert_eq!(scene.release(&caller, server).await.expect("released").0, ["A=one", "B=two"]);
}

#[tokio::test]
async fn many_writers_at_once_each_get_a_number() {
    let scene = Scene::new().await;
    let values: Vec<_> = (0..4).map(|n| Secret::new(format!("value {n}"))).collect();
    let (vault, me) = (scene.vault(), scene.me());
    let (a, b, c, d) = tokio::join!(
        vault.store(&me, "s", "A", &values[0], None),
        vault.store(&me, "s", "A", &values[1], None),
        vault.store(&me, "s", "B", &values[2], None),
        vault.store(&me, "s", "C", &values[3], None),
    );
    let mut versions = [a, b].map(|one| one.expect("stored").credential.version);
    versions.sort_unstable();
    assert_eq!(versions, [1, 2]);
    assert!(c.is_ok() && d.is_ok());
    assert_eq!(scene.db.value("select count(*) from app.tenant_key").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn rotating_the_wrapping_key_reaches_everybody_and_retires_the_old_one() {
    let scene = Scene::new().await;
    let (caller, _, server) = scene.deploy(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    let other = testkit::user(&scene.db).await;
    scene.store_as(other, "s", "A", "theirs").await;
    let before = scene.vault();
    let old = scene.db.value("select blob from app.tenant_key order by tenant limit 1").await.expect("a row");
    KeyFile::rotate(&scene.path).expect("rotated");

    assert_eq!(scene.release(&caller, server).await.expect("released").0, ["A=one"]);
    let count = "select count(*) from app.tenant_key where wrapping_key = 2";
    assert_eq!(scene.db.value(count).await.as_deref(), Some("1"), "read, so wrapped anew");
    let vault = scene.vault();
    assert_eq!(vault.rewrap(10).await.expect("the rest"), Rewrapped { done: 1, complete: false });
    assert_eq!(vault.rewrap(10).await.expect("none"), Rewrapped { done: 0, complete: true });
    assert_eq!(scene.db.value("select minimum from app.wrapping").await.as_deref(), Some("2"));
    assert_eq!(scene.release(&caller, server).await.expect("released").0, ["A=one"]);

    // A process that does not know the new key makes no tenant key that nobody could read later.
    let newcomer = Caller::user(testkit::user(&scene.db).await);
    let late = before.store(&newcomer, "s", "A", &Secret::new("x".into()), None).await;
    assert!(matches!(late, Err(sealing::Error::Store(Error::Conflict { .. }))));
    scene.db.run(&format!("update app.tenant_key set wrapping_key = 1, blob = '{old}'")).await;
    assert!(matches!(scene.release(&caller, server).await, Err(sealing::Error::Retired)));
}

#[tokio::test]
async fn a_deleted_tenant_key_shreds_its_tenant_only() {
    let scene = Scene::new().await;
    let other = testkit::user(&scene.db).await;
    let (mine, _, server) = scene.deploy(scene.owner).await;
    let (theirs, _, their_server) = scene.deploy(other).await;
    scene.store("io.example/server", "A", "one").await;
    scene.store_as(other, "io.example/server", "A", "two").await;
    scene.db.run(&format!("delete from app.tenant_key where tenant = '{}'", scene.owner)).await;
    assert!(scene.release(&mine, server).await.is_err());
    assert_eq!(scene.release(&theirs, their_server).await.expect("released").0, ["A=two"]);
}

#[tokio::test]
async fn names_have_bounds() {
    let scene = Scene::new().await;
    let value = Secret::new("x".into());
    for (server, key) in
        [("", "A"), ("s", ""), ("s\n", "A"), ("s", "A\u{7}"), (&"s".repeat(301), "A"), ("s", &"A".repeat(201))]
    {
        let stored = scene.vault().store(&scene.me(), server, key, &value, None).await;
        assert!(matches!(stored, Err(sealing::Error::Store(Error::Invalid { .. }))), "{server:?} {key:?}");
    }
    assert!(scene.list().await.is_empty());
}
