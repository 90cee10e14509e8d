//! The account service's calls of the database.

use super::{error::Error, tokens::Claims};
use database::{Caller, Database};
use protocol::ids::{SessionId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
pub(super) struct Found {
    pub user_id: UserId,
    pub password_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Refresh {
    Renewed { session_id: SessionId, user: Value },
    Reused,
    Unknown,
}

#[derive(Deserialize)]
struct Made {
    id: UserId,
}

pub(super) async fn create(
    database: &Database,
    id: UserId,
    email: &str,
    hash: &str,
    data: Option<Map<String, Value>>,
) -> Result<UserId, Error> {
    let arguments = json!({"user_id": id, "email": email, "password_hash": hash, "metadata": data.unwrap_or_default()});
    let made: Made = database.call(&Caller::service(), "account_create", &arguments).await.map_err(taken)?;
    Ok(made.id)
}

pub(super) async fn find(database: &Database, email: &str) -> Result<Option<Found>, Error> {
    match database.call(&Caller::service(), "account_find", &json!({"email": email})).await {
        Ok(found) => Ok(Some(found)),
        Err(database::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn get(database: &Database, claims: &Claims) -> Result<Value, Error> {
    let arguments = json!({"user_id": claims.sub, "session_id": claims.session_id});
    database.call(&Caller::service(), "account_get", &arguments).await.map_err(over)
}

pub(super) async fn update(
    database: &Database,
    claims: &Claims,
    email: Option<String>,
    hash: Option<String>,
    data: Option<Map<String, Value>>,
) -> Result<Value, Error> {
    let arguments = json!({
        "user_id": claims.sub,
        "session_id": claims.session_id,
        "email": email,
        "password_hash": hash,
        "metadata": data,
    });
    database.call(&Caller::service(), "account_update", &arguments).await.map_err(|error| match error {
        database::Error::NotFound { .. } => Error::SessionOver,
        error => taken(error),
    })
}

/// Another password; who is signed in is so no longer.
pub(super) async fn reset(database: &Database, user: UserId, hash: &str) -> Result<UserId, Error> {
    let arguments = json!({"user_id": user, "session_id": SessionId::new(), "password_hash": hash});
    Ok(database.call::<Value>(&Caller::service(), "account_update", &arguments).await.map(|_| user)?)
}

pub(super) async fn open(database: &Database, user: UserId, session: SessionId, hash: &str) -> Result<Value, Error> {
    let arguments = json!({"user_id": user, "session_id": session, "token_hash": hash});
    Ok(database.call(&Caller::service(), "account_session_open", &arguments).await?)
}

pub(super) async fn refresh(database: &Database, hash: &str, new_hash: &str) -> Result<Refresh, Error> {
    let arguments = json!({"token_hash": hash, "new_hash": new_hash});
    Ok(database.call(&Caller::service(), "account_session_refresh", &arguments).await?)
}

pub(super) async fn close(database: &Database, claims: &Claims, scope: &str) -> Result<(), Error> {
    let arguments = json!({"user_id": claims.sub, "session_id": claims.session_id, "scope": scope});
    let Value::Object(_) = database.call(&Caller::service(), "account_session_close", &arguments).await? else {
        return Err(Error::Internal("account_session_close answered nothing".into()));
    };
    Ok(())
}

fn taken(error: database::Error) -> Error {
    match error {
        database::Error::Conflict { .. } => Error::Registered,
        error => error.into(),
    }
}

fn over(error: database::Error) -> Error {
    match error {
        database::Error::NotFound { .. } => Error::SessionOver,
        error => error.into(),
    }
}
