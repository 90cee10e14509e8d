//! A user with an account at the stand-in for DigitalOcean.

use crate::{
    app::App,
    digitalocean::{DigitalOcean, TOKEN},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use capability::SigningKey;
use database::Caller;
use http::StatusCode;
use protocol::{chat::Secret, ids::UserId};
use sealing::{KeyFile, KeyWrap, Vault};
use serde_json::{Value, json};
use std::{
    io::Write,
    sync::{Arc, Mutex},
};
use toolboxes::{Installation, Provisioning};

pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) cloud: DigitalOcean,
    pub(crate) user: UserId,
    wrap: Arc<dyn KeyWrap>,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let cloud = DigitalOcean::start().await;
        let folder = tempfile::tempdir().unwrap();
        let wrap: Arc<dyn KeyWrap> = Arc::new(KeyFile::open_or_create(&folder.path().join("vault.key")).unwrap());
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap().public_key().to_string();
        let installation = Installation::new("https://plane.example", "https://releases.example/dtma", &key).unwrap();
        let app = App::with(|database, state| {
            let provisioning = Provisioning::new(database, wrap.clone(), &cloud.url, installation).unwrap();
            state.with_provisioning(provisioning)
        });
        let app = app.await;
        let user = app.user().await;
        let scene = Self { app, cloud, user, wrap, _folder: folder };
        scene.store(user).await;
        scene
    }

    /// Puts DigitalOcean's token into the user's vault.
    pub(crate) async fn store(&self, user: UserId) {
        let vault = Vault::new(self.app.db.database.clone(), self.wrap.clone());
        let token = Secret::new(TOKEN.into());
        let stored =
            vault.store(&Caller::user(user), "provider:digitalocean", "DIGITALOCEAN_TOKEN", &token, None).await;
        assert!(stored.is_ok());
    }

    pub(crate) async fn create(&self, name: &str) -> (StatusCode, Value) {
        self.app.ask(self.user, "POST", "/api/toolboxes", wanted(name)).await
    }

    pub(crate) async fn toolboxes(&self) -> Value {
        self.app.ask(self.user, "GET", "/api/toolboxes", Value::Null).await.1
    }

    pub(crate) fn bearer(&self) -> String {
        self.app.bearer(self.user)
    }

    pub(crate) async fn enrol(&self, token: &str) -> StatusCode {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap().public_key().to_string();
        let request = json!({"public_key": key, "gateway": "http://127.0.0.1:1/mcp", "version": "0.1.0"});
        self.app.call("POST", "/api/toolboxes/enrol", Some(token), request).await.0
    }

    /// As long as an attempt holds its place.
    pub(crate) async fn time_passes(&self) {
        self.app.db.run("update app.machine set busy_until = busy_until - interval '90 seconds'").await;
    }
}

pub(crate) fn wanted(name: &str) -> Value {
    json!({"name": name, "provision": {"provider": "digitalocean", "region": "fra1", "size": "s-2vcpu-4gb"}})
}

/// The enrolment token in a machine's user data.
pub(crate) fn token_of(user_data: &str) -> String {
    let (_, file) = user_data.split_once("path: /run/agentopia/token\n").unwrap();
    let encoded = file.split('"').find(|part| part.starts_with("YWdlbnRvcGlhX2Vucm9s")).unwrap();
    String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
}

/// All that is logged from its start, of every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
        log
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
