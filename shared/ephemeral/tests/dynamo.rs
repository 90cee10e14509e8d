//! The promises of expiring state, through the real SDK at a stand-in of DynamoDB.

mod promises;

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
    },
};
use ephemeral::Ephemeral;

const TABLE: &str = "agentopia-ephemeral";

/// A stand-in of its own, with the table as infra/template.yaml declares it.
async fn client() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let database = dynoxide::Database::memory().expect("a database in memory");
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
        .build();
    Client::from_conf(config)
}

async fn with_table(client: &Client) {
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let table = client.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let table = table.attribute_definitions(id.expect("complete")).key_schema(key.expect("complete"));
    table.send().await.expect("a table is made");
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build().expect("complete");
    client.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await.expect("TTL is set");
}

#[tokio::test]
async fn dynamo_keeps_every_promise() {
    let client = client().await;
    with_table(&client).await;
    promises::keeps_all(&Ephemeral::dynamo(client, TABLE)).await;
}

/// DynamoDB's own TTL reads seconds since 1970, and must never remove what a reader would still see.
#[tokio::test]
async fn the_ttl_attribute_is_in_seconds_and_not_early() {
    let client = client().await;
    with_table(&client).await;
    let state = Ephemeral::dynamo(client.clone(), TABLE);
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    state.put("s", "k", &1, std::time::Duration::from_millis(90_500)).await.expect("put");
    let found = client.get_item().table_name(TABLE).key("id", aws_sdk_dynamodb::types::AttributeValue::S("s/k".into()));
    let found = found.send().await.expect("got").item.expect("it is there");
    let expires: u64 = found["expires"].as_n().expect("a number").parse().expect("a number");
    let least = (before.as_millis() + 90_500).div_ceil(1000);
    assert!((least..=least + 2).contains(&u128::from(expires)), "{expires} is about {least}");
}

#[tokio::test]
async fn a_missing_table_is_an_error_not_an_absence() {
    let state = Ephemeral::dynamo(client().await, TABLE);
    assert!(state.once("s", "k", std::time::Duration::from_secs(1)).await.is_err());
    assert!(state.get::<u8>("s", "k").await.is_err());
}
