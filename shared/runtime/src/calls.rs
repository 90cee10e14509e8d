//! The calls of one answer.

use crate::{Entry, Tools, data};
use futures::{StreamExt, stream};
use models::language::{Call, Message};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const AT_ONCE: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(120);
/// Of one result, as it is written down.
const RECORDED_MAX: usize = 16 * 1024;

/// What is written down before the calls are made.
pub(crate) fn called(calls: &[Call], names: &BTreeMap<String, String>) -> Vec<Entry> {
    let entry = |call: &Call| {
        let tool = names.get(&call.name).unwrap_or(&call.name);
        Entry::new("tool.called", json!({"id": call.id, "tool": tool, "arguments": call.arguments}))
    };
    calls.iter().map(entry).collect()
}

/// Makes the calls, some at the same time; the results in the calls' order: for the journal, and for the model.
pub(crate) async fn make(
    tools: &dyn Tools,
    calls: &[Call],
    names: &BTreeMap<String, String>,
    key: &str,
    watch: &(dyn Fn(&Entry) + Send + Sync),
) -> (Vec<Entry>, Vec<Message>) {
    let one = |(nth, call): (usize, &Call)| {
        let (call, key) = (call.clone(), format!("{key}/{nth}"));
        async move {
            let (text, failed) = one(tools, &call, names, &key).await;
            let tool = names.get(&call.name).unwrap_or(&call.name).clone();
            let shown = data::visible(&text, RECORDED_MAX);
            let entry =
                Entry::new("tool.returned", json!({"id": call.id, "tool": tool, "failed": failed, "output": shown}));
            watch(&entry);
            let content = data::output(&tool, &text, failed);
            (entry, Message::Result { call_id: call.id, name: call.name, content })
        }
    };
    let futures: Vec<_> = calls.iter().enumerate().map(one).collect();
    stream::iter(futures).buffered(AT_ONCE).unzip().await
}

async fn one(tools: &dyn Tools, call: &Call, names: &BTreeMap<String, String>, key: &str) -> (String, bool) {
    let Some(name) = names.get(&call.name) else { return ("There is no such tool.".to_owned(), true) };
    if !matches!(call.arguments, Value::Object(_)) {
        return ("The arguments are not a JSON object.".to_owned(), true);
    }
    match tokio::time::timeout(TIMEOUT, tools.call(name, &call.arguments, key)).await {
        Ok(Ok(output)) => (output.text, output.failed),
        Ok(Err(error)) => (error.to_string(), true),
        Err(_) => ("The tool did not answer within two minutes; whether it did its work is unknown.".to_owned(), true),
    }
}
