//! SQL of ours, run as an administrator: bootstrap, templates, tests. Never anything from outside.

use super::Error;
use crate::tls;
use std::time::Duration;
use tokio_postgres::{
    Client, Config, NoTls, SimpleQueryMessage, Socket, config::SslMode, error::ErrorPosition, tls::MakeTlsConnect,
};

/// For a connection, from the first packet to being ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// An administrator's connection.
pub struct Admin(Client);

impl Admin {
    /// With TLS wherever the host is not this machine.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(Error::Connection)?;
        if tls::is_local(&config) {
            return Self::open(&config, NoTls).await;
        }
        let connector = tls::connector(None).map_err(Error::Tls)?;
        Self::open(config.ssl_mode(SslMode::Require), connector).await
    }

    async fn open<T>(config: &Config, tls: T) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        // Whatever listens there may not be Postgres, and then never answers.
        let connecting = tokio::time::timeout(PATIENCE, config.connect(tls)).await;
        let (client, connection) = connecting.map_err(|_| Error::Silence(PATIENCE))?.map_err(Error::Connection)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "administrator's connection ended");
            }
        });
        Ok(Self(client))
    }

    /// Runs statements as they stand; several are one transaction. `name` is for the message when they fail.
    pub async fn run(&self, name: &str, sql: &str) -> Result<(), Error> {
        self.0.batch_execute(sql).await.map_err(failed_in(name, sql))
    }

    /// The rows of a query, as text.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let answer = self.0.simple_query(sql).await.map_err(failed("query"))?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => None,
        });
        Ok(rows.collect())
    }

    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.0
    }
}

pub(super) fn failed(name: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    failed_in(name, "")
}

/// As [`failed`], and says at which line of `sql`.
pub(super) fn failed_in(name: &str, sql: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let (name, sql) = (name.to_owned(), sql.to_owned());
    move |source| {
        let reason = source.as_db_error().map_or_else(|| source.to_string(), ToString::to_string);
        let reason = match source.as_db_error().and_then(|raised| raised.position()) {
            Some(ErrorPosition::Original(at)) if !sql.is_empty() => {
                format!("line {}: {reason}", 1 + sql.chars().take(*at as usize).filter(|c| *c == '\n').count())
            }
            _ => reason,
        };
        Error::Script { name, reason, source }
    }
}
