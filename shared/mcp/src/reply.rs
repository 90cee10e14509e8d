//! Messages of our own making.

use serde_json::Value;

/// A result for the request with this id (JSON text).
pub fn result(id: &str, result: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}").into_bytes()
}

/// An error for the request with this id (JSON text), or for none that could be read.
pub fn error(id: Option<&str>, code: i64, message: &str, data: Option<&Value>) -> Vec<u8> {
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let message = Value::from(message);
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{{\"code\":{code},\"message\":{message}{data}}}}}").into_bytes()
}
