//! In DynamoDB, with the clock of whoever asks: it removes what has expired only hours later, so every reader looks.

use crate::store::{Error, Store, millis};
use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    types::{AttributeValue, ReturnValue},
};
use serde_json::Value;
use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// `id` is the key, `value` JSON text, `until` milliseconds since 1970; `expires` is `until` in seconds, for DynamoDB's TTL.
pub(crate) struct Dynamo {
    client: Client,
    table: String,
}

type Item = HashMap<String, AttributeValue>;

impl Dynamo {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Puts the item where `condition` holds; false where it does not. `:now` is bound.
    async fn put_where(&self, item: Item, now: u64, condition: &str) -> Result<bool, Error> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let put = put.condition_expression(condition).expression_attribute_values(":now", number(now));
        // `until` is no reserved word, but one day it may be.
        match put.expression_attribute_names("#until", "until").send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(Error::Dynamo(error.into())),
        }
    }

    /// Adds one to a counter whose window is open; none when there is no such counter.
    async fn add(&self, scope: &str, key: &str, now: u64) -> Result<Option<u64>, Error> {
        let update = self.client.update_item().table_name(&self.table).key("id", id(scope, key));
        let update = update
            .update_expression("add #count :one")
            .condition_expression("#until > :now")
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(now))
            .return_values(ReturnValue::UpdatedNew);
        match update.send().await {
            Ok(done) => Ok(done.attributes().and_then(|item| read(item, "count"))),
            Err(SdkError::ServiceError(refused)) if refused.err().is_conditional_check_failed_exception() => Ok(None),
            Err(error) => Err(Error::Dynamo(error.into())),
        }
    }
}

const ABSENT: &str = "attribute_not_exists(id) or #until <= :now";

#[async_trait]
impl Store for Dynamo {
    async fn put_if_absent(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<bool, Error> {
        let now = now();
        let mut item = item(scope, key, now, ttl);
        item.insert("value".into(), AttributeValue::S(value.to_string()));
        self.put_where(item, now, ABSENT).await
    }

    async fn put(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<(), Error> {
        let mut item = item(scope, key, now(), ttl);
        item.insert("value".into(), AttributeValue::S(value.to_string()));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| Error::Dynamo(error.into()))
    }

    async fn get(&self, scope: &str, key: &str) -> Result<Option<Value>, Error> {
        let get = self.client.get_item().table_name(&self.table).key("id", id(scope, key)).consistent_read(true);
        let found = get.send().await.map_err(|error| Error::Dynamo(error.into()))?;
        unexpired(found.item())
    }

    async fn take(&self, scope: &str, key: &str) -> Result<Option<Value>, Error> {
        let delete = self.client.delete_item().table_name(&self.table).key("id", id(scope, key));
        let deleted = delete.return_values(ReturnValue::AllOld).send().await;
        unexpired(deleted.map_err(|error| Error::Dynamo(error.into()))?.attributes())
    }

    async fn count(&self, scope: &str, key: &str, window: Duration) -> Result<u64, Error> {
        loop {
            let now = now();
            if let Some(count) = self.add(scope, key, now).await? {
                return Ok(count);
            }
            let mut item = item(scope, key, now, window);
            item.insert("count".into(), number(1));
            if self.put_where(item, now, ABSENT).await? {
                return Ok(1);
            }
            // Somebody else has opened the window in between: theirs is counted in.
        }
    }

    async fn sweep(&self, _at_most: u32) -> Result<u64, Error> {
        Ok(0)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn item(scope: &str, key: &str, now: u64, ttl: Duration) -> Item {
    let until = now.saturating_add(millis(ttl));
    let seconds = until.div_ceil(1000);
    HashMap::from([("id".into(), id(scope, key)), ("until".into(), number(until)), ("expires".into(), number(seconds))])
}

/// A scope is ours and holds no `/`, so no two pairs have the same id.
fn id(scope: &str, key: &str) -> AttributeValue {
    AttributeValue::S(format!("{scope}/{key}"))
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn read(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn unexpired(item: Option<&Item>) -> Result<Option<Value>, Error> {
    let Some(item) = item else { return Ok(None) };
    if read(item, "until").is_none_or(|until| until <= now()) {
        return Ok(None);
    }
    let text = item.get("value").and_then(|value| value.as_s().ok());
    Ok(text.map(|text| serde_json::from_str(text)).transpose()?)
}
