//! The OpenAPI 3.1 document and a page that shows it, both made from the tables of routes.

use crate::routes::{Route, Who};
use serde_json::{Map, Value, json};

pub(crate) fn document(tables: &[&[Route]]) -> Value {
    let mut paths = Map::new();
    for route in tables.iter().copied().flatten() {
        // OpenAPI has no sign for a part that may hold slashes.
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Agentopia",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A sentence becomes working tools on your own machine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token or API key."},
                "device": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token that a toolbox signed."},
                "enrolment": {"type": "http", "scheme": "bearer", "description": "An enrolment token; works once."},
            },
            "schemas": {"Problem": problem()},
            "responses": {"Problem": {
                "description": "What went wrong, and what to do.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .parameters()
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters
        .extend(route.query.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}})));
    let mut operation = json!({
        "summary": route.summary,
        "operationId": id(route),
        "tags": [tag(route.path)],
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "Done.", "content": {"application/json": {"schema": {}}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
        "security": security(route.who),
    });
    if matches!(route.method, "POST" | "PUT" | "PATCH") {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": {"type": "object"}}}});
    }
    operation
}

fn security(who: Who) -> Value {
    match who {
        Who::User | Who::Operator => json!([{"user": []}]),
        Who::Device => json!([{"device": []}]),
        Who::Enrolment => json!([{"enrolment": []}]),
        Who::Open => json!([]),
    }
}

/// `POST /api/agents/{id}/runs` -> `post_agents_id_runs`.
fn id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.', '-', '*']).filter(|word| !word.is_empty() && *word != "api");
    std::iter::once(route.method.to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn tag(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("api") => parts.next().unwrap_or("api"),
        Some(first) => first,
        None => "api",
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "The id of the request, as in the logs."},
            "fix": {"type": "string", "description": "One sentence that says what to do."},
        },
    })
}

/// The document as one page of plain HTML: no script, nothing from elsewhere.
pub(crate) fn page(tables: &[&[Route]]) -> String {
    let mut rows = String::new();
    for route in tables.iter().copied().flatten() {
        let who = format!("{:?}", route.who).to_lowercase();
        rows.push_str(&format!(
            "<tr><td>{}</td><td><code>{}</code></td><td>{who}</td><td>{}</td></tr>\n",
            route.method,
            escape(route.path),
            escape(route.summary)
        ));
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Agentopia: HTTP</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}td,th{{text-align:left;padding:.2rem 1rem .2rem 0}}</style>\
         <h1>Agentopia: HTTP</h1><p>The same as <a href=\"/openapi.json\">an OpenAPI 3.1 document</a>. \
         Users and operators send <code>Authorization: Bearer</code> with the token that <code>agentopia token</code> prints, or an API key of <code>agentopia keys create</code>.</p>\
         <table><tr><th>Method<th>Path<th>Who<th>What</tr>\n{rows}</table></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
