use super::{document, page};
use crate::routes::{Route, Who};

const TABLE: &[Route] = &[
    Route::get("/api/agents/{id}", Who::User, "One <of> yours"),
    Route::delete("/api/agents/{id}", Who::User, "Removes it"),
    Route::post("/api/toolboxes/enrol", Who::Enrolment, "Enrols"),
    Route::get("/api/catalog/search", Who::User, "Searches").with_query(&["q", "limit"]),
];

#[test]
fn the_document_has_every_route_with_its_parameters_and_its_security() {
    let document = document(&[TABLE]);
    assert_eq!(document["openapi"], "3.1.0");
    let agent = &document["paths"]["/api/agents/{id}"];
    assert_eq!(agent["get"]["parameters"][0]["name"], "id");
    assert_eq!(agent["get"]["security"][0]["user"], serde_json::json!([]));
    assert_eq!(agent["delete"]["operationId"], "delete_agents_id");
    let enrol = &document["paths"]["/api/toolboxes/enrol"]["post"];
    assert!(enrol["requestBody"].is_object());
    assert_eq!(enrol["security"][0]["enrolment"], serde_json::json!([]));
    let search = &document["paths"]["/api/catalog/search"]["get"]["parameters"];
    assert_eq!(search[1]["name"], "limit");
    assert_eq!(search[1]["in"], "query");
}

#[test]
fn operation_ids_are_unique() {
    let document = document(&[TABLE]);
    let mut ids = std::collections::HashSet::new();
    for path in document["paths"].as_object().expect("paths").values() {
        for operation in path.as_object().expect("operations").values() {
            assert!(ids.insert(operation["operationId"].as_str().expect("an id").to_owned()));
        }
    }
    assert_eq!(ids.len(), TABLE.len());
}

#[test]
fn the_page_escapes() {
    assert!(page(&[TABLE]).contains("One &lt;of&gt; yours"));
}
