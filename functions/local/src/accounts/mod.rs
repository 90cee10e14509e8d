//! The local account service, with the wire format of Supabase Auth under `/auth/v1`.
//!
//! * A session is a row; its refresh token works once, and using it again ends the session.
//! * Nothing tells an unknown address from a wrong password: not the answer, not the time, not the limit.
//! * Addresses are not confirmed: the service listens on loopback, and has no mail to send.

mod error;
mod limits;
mod password;
mod routes;
mod store;
pub mod tokens;
mod wire;

pub use error::Error;
pub use routes::{ROUTES, router};

use database::Database;
use edge::Clock;
use limits::Limit;
use password::Passwords;
use protocol::{
    chat::Secret,
    ids::{SessionId, UserId},
};
use serde_json::{Map, Value};
use std::sync::Arc;
use store::Refresh;
use tokens::{Claims, Signer};
use wire::Session;

/// Tables and functions; applied at each start by the embedded database's administrator.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Whether there is an account with this address.
pub async fn has(database: &Database, email: &str) -> Result<bool, Error> {
    Ok(store::find(database, email).await?.is_some())
}

const GUESSES: u32 = 10;
const SIGN_UPS: u32 = 100;

#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    database: Database,
    signer: Signer,
    verifier: edge::Verifier,
    passwords: Passwords,
    guesses: Limit,
    sign_ups: Limit,
    clock: Clock,
}

impl Accounts {
    pub fn new(database: Database, signer: Signer, clock: Clock) -> Result<Self, Error> {
        let verifier = edge::Verifier::fixed(signer.set()).with_issuer(signer.issuer());
        Ok(Self(Arc::new(Inner {
            database,
            signer,
            verifier,
            passwords: Passwords::new()?,
            guesses: Limit::new(GUESSES),
            sign_ups: Limit::new(SIGN_UPS),
            clock,
        })))
    }

    /// Checks this service's own tokens without asking it over HTTP.
    pub fn verifier(&self) -> edge::Verifier {
        self.0.verifier.clone()
    }

    pub async fn sign_up(
        &self,
        email: &str,
        password: Secret,
        data: Option<Map<String, Value>>,
    ) -> Result<Session, Error> {
        let email = wire::email(email)?;
        self.0.sign_ups.take("", self.0.clock.seconds())?;
        let hash = self.0.passwords.hash(password).await?;
        let user = store::create(&self.0.database, UserId::new(), &email, &hash, data).await?;
        self.open(user).await
    }

    pub async fn sign_in(&self, email: &str, password: Secret) -> Result<Session, Error> {
        // What is no address is one that nobody has.
        let email = wire::email(email).map_err(|_| Error::Credentials)?;
        self.0.guesses.take(&email, self.0.clock.seconds())?;
        let found = store::find(&self.0.database, &email).await?;
        let (user, stored) = found.map_or((None, None), |found| (Some(found.user_id), found.password_hash));
        let right = self.0.passwords.verify(password, stored).await?;
        let Some(user) = user.filter(|_| right) else { return Err(Error::Credentials) };
        self.0.guesses.clear(&email);
        self.open(user).await
    }

    /// The account with this address, made when there is none; for the owner's, whose password we know. Unless it is `known`
    /// already, the account gets this password.
    pub async fn ensure(&self, email: &str, password: Secret, known: Option<UserId>) -> Result<UserId, Error> {
        let found = store::find(&self.0.database, email).await?.map(|found| found.user_id);
        match found {
            Some(id) if known.is_some() => Ok(id),
            Some(id) => {
                let hash = self.0.passwords.hash(password).await?;
                store::reset(&self.0.database, id, &hash).await
            }
            None => {
                let hash = self.0.passwords.hash(password).await?;
                store::create(&self.0.database, UserId::new(), email, &hash, None).await
            }
        }
    }

    async fn open(&self, user: UserId) -> Result<Session, Error> {
        let (id, token) = (SessionId::new(), tokens::refresh());
        let user = store::open(&self.0.database, user, id, &tokens::hash(&token)).await?;
        self.0.signer.session(user, id, token, self.0.clock.seconds())
    }

    pub async fn refresh(&self, token: &Secret) -> Result<Session, Error> {
        let next = tokens::refresh();
        match store::refresh(&self.0.database, &tokens::hash(token.expose()), &tokens::hash(&next)).await? {
            Refresh::Renewed { session_id, user } => {
                self.0.signer.session(user, session_id, next, self.0.clock.seconds())
            }
            Refresh::Reused => Err(Error::RefreshUsed),
            Refresh::Unknown => Err(Error::RefreshUnknown),
        }
    }

    /// The account of an open session.
    async fn user(&self, claims: &Claims) -> Result<Value, Error> {
        store::get(&self.0.database, claims).await
    }

    async fn update(&self, claims: &Claims, update: wire::Update) -> Result<Value, Error> {
        store::get(&self.0.database, claims).await?;
        let email = update.email.as_deref().map(wire::email).transpose()?;
        let hash = match update.password {
            Some(password) => Some(self.0.passwords.hash(password).await?),
            None => None,
        };
        store::update(&self.0.database, claims, email, hash, update.data).await
    }

    async fn sign_out(&self, claims: &Claims, scope: &str) -> Result<(), Error> {
        store::close(&self.0.database, claims, scope).await
    }

    async fn claims(&self, token: &edge::Bearer) -> Result<Claims, Error> {
        self.0.verifier.verify(token.expose(), self.0.clock.seconds()).await.map_err(|_| Error::Token)?;
        tokens::claims(token.expose()).ok_or(Error::Token)
    }
}
