//! The direct door: pooled connections, one statement and one round trip for a call.
//!
//! Only typed, unnamed statements are sent (`query_typed`): these are safe behind a pooler in transaction mode.

use crate::{Error, Options, caller::Caller, tls};
use deadpool_postgres::{
    Hook, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;
use tokio_postgres::{
    Config, NoTls,
    types::{Json, Type},
};

#[derive(Clone)]
pub(crate) struct Direct {
    pool: Pool,
    call_timeout: Duration,
}

impl Direct {
    /// Connects to nothing yet: the first call does.
    pub(crate) fn new(url: &str, options: &Options) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(Error::unexpected)?;
        config.connect_timeout(options.connect_timeout).application_name("agentopia");
        if options.lower {
            let given = config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
            // What the login role has set for itself counts only for whoever logs in as it.
            config.options(format!("{given}-c role=agentopia_login -c statement_timeout=15s -c lock_timeout=5s"));
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if tls::is_local(&config) {
            Manager::from_config(config, NoTls, recycling)
        } else {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            Manager::from_config(config, tls::connector(options.ca.as_deref())?, recycling)
        };
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(Runtime::Tokio1)
            // The one that was used last has its plans and caches at hand.
            .queue_mode(QueueMode::Lifo)
            .timeouts(Timeouts {
                wait: Some(options.connect_timeout),
                create: Some(options.connect_timeout),
                recycle: Some(options.connect_timeout),
            })
            .post_create(Hook::sync_fn(|_, _| {
                tracing::debug!("database connection opened");
                Ok(())
            }))
            .build()
            .map_err(Error::unexpected)?;
        Ok(Self { pool, call_timeout: options.call_timeout })
    }

    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        caller: &Caller,
        function: &'static str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<R, Error> {
        let arguments = serde_json::value::to_raw_value(arguments).map_err(Error::unexpected)?;
        let client = self.pool.get().await.map_err(refused)?;
        let (claims, arguments) = (Json(caller.claims), Json(arguments));
        let parameters = [(&claims as _, Type::JSONB), (&function as _, Type::TEXT), (&arguments as _, Type::JSONB)];
        let answer = client.query_typed_one("select gate.call($1, $2, $3)", &parameters);
        let row = match tokio::time::timeout(self.call_timeout, answer).await {
            Ok(row) => row?,
            Err(late) => {
                // What it still waits for must not become the next call's wait.
                drop(Object::take(client));
                return Err(Error::unavailable(late));
            }
        };
        match row.try_get::<_, Option<Json<R>>>(0).map_err(Error::unexpected)? {
            Some(Json(result)) => Ok(result),
            None => serde_json::from_value(serde_json::Value::Null).map_err(Error::unexpected),
        }
    }
}

fn refused(error: PoolError) -> Error {
    match error {
        // The server's own words decide: a wrong password is our fault, a shutdown is not.
        PoolError::Backend(error) => error.into(),
        error => Error::unavailable(error),
    }
}
