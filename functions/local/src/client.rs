//! Speaks to the installation's own HTTP interface, as its owner.

use crate::{
    home::{Home, Instance, Owner, read_json, write_json},
    trouble::Trouble,
};
use http::{Method, StatusCode};
use protocol::problem::Problem;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// The last access token, so that not every command hashes a password.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    access_token: String,
    expires_at: i64,
}

#[derive(Deserialize)]
struct Session {
    access_token: String,
    expires_at: i64,
}

/// A token is used until this many seconds before its end.
const SPARE: i64 = 600;

impl Client {
    /// Signs in as the owner of the installation that runs at `home`.
    pub async fn connect(home: &Home) -> Result<Self, Trouble> {
        let instance = Instance::required(home)?;
        Self::to(home, &instance.url).await
    }

    /// Signs in as the owner at `url`.
    pub async fn to(home: &Home, url: &str) -> Result<Self, Trouble> {
        let http = http();
        let path = home.run().join("token.json");
        let now = jiff::Timestamp::now().as_second();
        let kept = read_json::<Kept>(&path).ok().flatten();
        if let Some(kept) = kept.filter(|kept| kept.url == url && kept.expires_at > now + SPARE) {
            let client = Self { http: http.clone(), base: url.to_owned(), token: kept.access_token };
            // One of an earlier database of this home is good for nothing.
            if client.is_signed_in().await? {
                return Ok(client);
            }
        }
        let owner = Owner::load(home)?.ok_or_else(|| {
            Trouble::new("The owner's account is not known.", "Run `agentopia up`: it makes one at the first start.")
        })?;
        let session: Session = sign_in(&http, url, &owner).await?;
        let kept = Kept { url: url.to_owned(), access_token: session.access_token, expires_at: session.expires_at };
        write_json(&path, &kept)?;
        Ok(Self { http, base: url.to_owned(), token: kept.access_token })
    }

    /// Where the installation is.
    pub fn url(&self) -> &str {
        &self.base
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Trouble> {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<(), Trouble> {
        let reply = self.send(Method::DELETE, path, None::<&()>).await?;
        self.check(reply).await.map(|_| ())
    }

    /// `None` where there is none.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        let reply = self.send(Method::GET, path, None::<&()>).await?;
        if reply.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(path, self.check(reply).await?).await.map(Some)
    }

    async fn is_signed_in(&self) -> Result<bool, Trouble> {
        let reply = self.send(Method::GET, "/auth/v1/user", None::<&()>).await?;
        Ok(!matches!(reply.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND))
    }

    /// A response whose body is read as it comes.
    pub async fn stream(&self, path: &str) -> Result<reqwest::Response, Trouble> {
        let request = self.http.get(format!("{}{path}", self.base)).header("accept", "text/event-stream");
        let reply = request.bearer_auth(&self.token).send().await.map_err(|error| self.silent(&error))?;
        self.check(reply).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Trouble> {
        let reply = self.send(method, path, body).await?;
        read(path, self.check(reply).await?).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<reqwest::Response, Trouble> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| self.silent(&error))
    }

    fn silent(&self, error: &(dyn std::error::Error + 'static)) -> Trouble {
        Trouble::new(format!("Agentopia at {} does not answer.", self.base), "Run `agentopia doctor`.").caused_by(error)
    }

    async fn check(&self, reply: reqwest::Response) -> Result<reqwest::Response, Trouble> {
        if reply.status().is_success() { Ok(reply) } else { Err(refusal(reply).await) }
    }
}

async fn read<T: DeserializeOwned>(path: &str, reply: reqwest::Response) -> Result<T, Trouble> {
    reply.json().await.map_err(|error| {
        Trouble::new(format!("The answer to {path} cannot be understood."), "Run the same release of both: scripts/up.")
            .caused_by(&error)
    })
}

/// A client that never goes through a proxy: everything is on this machine.
pub fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(3));
    builder.build().expect("a client without TLS files can be built")
}

async fn sign_in(http: &reqwest::Client, url: &str, owner: &Owner) -> Result<Session, Trouble> {
    let request = http.post(format!("{url}/auth/v1/token?grant_type=password"));
    let body = json!({"email": owner.email, "password": owner.password});
    let reply = request.json(&body).send().await.map_err(|error| {
        Trouble::new(format!("Agentopia at {url} does not answer."), "Run `agentopia doctor`.").caused_by(&error)
    })?;
    if !reply.status().is_success() {
        // Anything else passes, or says itself what to do.
        let wrong = reply.status() == StatusCode::BAD_REQUEST;
        let refusal = refusal(reply).await;
        if !wrong {
            return Err(refusal);
        }
        return Err(Trouble::new(
            format!("The account of {} does not take the password in owner.json.", owner.email),
            "Put owner.json back from a backup; or begin with a home of its own: agentopia up --home DIR.",
        )
        .because(refusal.what()));
    }
    reply.json().await.map_err(|error| {
        Trouble::new("The account service's answer cannot be understood.", "Run the same release of both: scripts/up.")
            .caused_by(&error)
    })
}

/// What a refusal says, in words.
pub async fn refusal(reply: reqwest::Response) -> Trouble {
    let status = reply.status();
    let body: Value = reply.json().await.unwrap_or_default();
    match serde_json::from_value::<Problem>(body.clone()) {
        Ok(problem) => {
            let what = problem.detail.unwrap_or(problem.title);
            let trouble = Trouble::new(what, problem.fix.unwrap_or_else(|| "Run `agentopia doctor`.".to_owned()));
            match problem.instance {
                Some(id) if status.is_server_error() => {
                    trouble.because(format!("request {id}, see logs/agentopia.log"))
                }
                _ => trouble,
            }
        }
        Err(_) => {
            let message = body["msg"].as_str().unwrap_or("it gave no reason").to_owned();
            Trouble::new(format!("The request was refused ({status})."), "Run `agentopia doctor`.").because(message)
        }
    }
}
