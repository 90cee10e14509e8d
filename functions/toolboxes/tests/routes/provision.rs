//! A machine at DigitalOcean for a toolbox: made once, whatever happens on the way.

use crate::{
    app::App,
    digitalocean::{DigitalOcean, Fault, TOKEN},
    scene::{Scene, token_of, wanted},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_machine_is_made_that_enrols() {
    let scene = Scene::new().await;
    let (status, made) = scene.create("My Büro").await;
    assert_eq!(status, 201, "{made}");
    assert!(made.get("enrolment_token").is_none(), "{made}");
    let droplet = scene.cloud.look(|account| account.droplets.first().cloned()).unwrap();
    let machine =
        json!({"provider": "digitalocean", "region": "fra1", "size": "s-2vcpu-4gb", "id": droplet["id"].to_string()});
    assert_eq!(made["machine"], machine);
    let id = made["id"].as_str().unwrap();
    assert_eq!(droplet["tags"], json!(["agentopia", format!("agentopia-toolbox-{id}")]));
    assert_eq!(droplet["name"], format!("agentopia-my-b-ro-{}", &id[..8]));
    assert_eq!(scene.toolboxes().await[0]["machine"], machine);

    // The token in its user data is good, once.
    let token = token_of(&scene.cloud.look(|account| account.user_data.remove(0)));
    assert_eq!(scene.enrol(&token).await, 200);
    assert_eq!(scene.enrol(&token).await, 401);
    assert_eq!(scene.toolboxes().await[0]["state"], "online");

    let audit =
        "select string_agg(action || ' ' || server || ' ' || key || ' ' || by, '; ' order by id) from app.access";
    let stored = format!("create provider:digitalocean DIGITALOCEAN_TOKEN user:{}", scene.user);
    let released = format!("release provider:digitalocean DIGITALOCEAN_TOKEN provision:{id}");
    assert_eq!(scene.app.db.value(audit).await.unwrap(), format!("{stored}; {released}"));
}

#[tokio::test]
async fn the_same_request_again_makes_no_second_machine() {
    let scene = Scene::new().await;
    let (_, first) = scene.create("home").await;
    let calls = scene.cloud.look(|account| account.calls.len());
    let (status, again) = scene.create("home").await;
    assert_eq!((status.as_u16(), &again), (201, &first));
    assert_eq!(scene.cloud.look(|account| account.calls.len()), calls, "nobody was asked again");
    // Another kind of machine is another request, and another name another machine.
    let body =
        json!({"name": "home", "provision": {"provider": "digitalocean", "region": "nyc3", "size": "s-2vcpu-4gb"}});
    assert_eq!(scene.app.ask(scene.user, "POST", "/api/toolboxes", body).await.0, 409);
    assert_eq!(scene.create("office").await.0, 201);
    assert_eq!(scene.cloud.ids().len(), 2);
}

#[tokio::test]
async fn of_many_at_once_one_asks_for_a_machine() {
    let scene = Scene::new().await;
    let tries = futures::future::join_all((0..8).map(|_| scene.create("home"))).await;
    assert!(tries.iter().all(|(status, _)| [201, 409].contains(&status.as_u16())), "{tries:?}");
    assert!(tries.iter().any(|(status, _)| *status == 201));
    assert_eq!(scene.cloud.ids().len(), 1);
}

#[tokio::test]
async fn a_machine_whose_answer_was_lost_is_found() {
    let scene = Scene::new().await;
    scene.cloud.fail([Fault::No, Fault::Lost]);
    let (status, made) = scene.create("home").await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["machine"]["id"], scene.cloud.ids()[0].to_string());
    assert_eq!(scene.cloud.ids().len(), 1);
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_makes_no_second_machine() {
    let scene = Scene::new().await;
    scene.cloud.fail([Fault::No, Fault::Lost, Fault::Refused(500, "oops")]);
    let (status, problem) = scene.create("home").await;
    assert_eq!(status, 503, "{problem}");
    // Until DigitalOcean surely lists what it has made, nobody asks.
    let (status, problem) = scene.create("home").await;
    assert_eq!(
        (status.as_u16(), &problem["detail"]),
        (409, &json!("This toolbox's machine is being made or destroyed."))
    );
    let path = format!("/api/toolboxes/{}", scene.toolboxes().await[0]["id"].as_str().unwrap());
    assert_eq!(scene.app.ask(scene.user, "DELETE", &path, Value::Null).await.0, 409);
    scene.time_passes().await;
    let (status, made) = scene.create("home").await;
    assert_eq!((status.as_u16(), &made["machine"]["id"]), (201, &json!(scene.cloud.ids()[0].to_string())));
    assert_eq!(scene.cloud.ids().len(), 1);
    // And it has the token that is good.
    let token = token_of(&scene.cloud.look(|account| account.user_data.remove(0)));
    assert_eq!(scene.enrol(&token).await, 200);
}

#[tokio::test]
async fn of_several_machines_that_lost_answers_left_the_newest_stays() {
    let scene = Scene::new().await;
    // The first comes to light only after the second was asked for.
    scene.cloud.fail([Fault::No, Fault::Lost, Fault::Refused(500, "oops")]);
    scene.create("home").await;
    let hidden = scene.cloud.look(|account| account.droplets.pop()).unwrap();
    scene.time_passes().await;
    scene.cloud.fail([Fault::No, Fault::Lost, Fault::Refused(500, "oops")]);
    assert_eq!(scene.create("home").await.0, 503);
    scene.cloud.look(|account| account.droplets.push(hidden));
    let newest = *scene.cloud.ids().iter().max().unwrap();
    scene.time_passes().await;
    let (status, made) = scene.create("home").await;
    assert_eq!((status.as_u16(), &made["machine"]["id"]), (201, &json!(newest.to_string())));
    assert_eq!(scene.cloud.ids(), [newest]);
    let tokens: Vec<_> = scene.cloud.look(|account| account.user_data.iter().map(|text| token_of(text)).collect());
    assert_eq!(scene.enrol(&tokens[0]).await, 401);
    assert_eq!(scene.enrol(&tokens[1]).await, 200);
}

#[tokio::test]
async fn a_machine_that_enrolled_and_was_destroyed_by_hand_is_not_made_again() {
    let scene = Scene::new().await;
    scene.cloud.fail([Fault::No, Fault::Lost, Fault::Refused(500, "oops")]);
    scene.create("home").await;
    let token = token_of(&scene.cloud.look(|account| account.user_data.remove(0)));
    assert_eq!(scene.enrol(&token).await, 200);
    scene.cloud.look(|account| account.droplets.clear());
    scene.time_passes().await;
    assert_eq!(scene.create("home").await.0, 409);
    assert_eq!(scene.cloud.ids(), [0; 0]);
}

#[tokio::test]
async fn a_refusal_says_why_and_leaves_nothing() {
    let scene = Scene::new().await;
    for (faults, status, says) in [
        (vec![Fault::No, Fault::Refused(401, "no")], 422, "does not accept the token"),
        (vec![Fault::Refused(401, "no")], 422, "does not accept the token"),
        (vec![Fault::No, Fault::Refused(403, "missing scope\u{1b}[2J")], 422, "missing scope [2J"),
        (vec![Fault::No, Fault::Refused(422, "Region is not available")], 422, "Region is not available"),
        (vec![Fault::Refused(500, "oops")], 503, "did not say"),
        (vec![Fault::Endless], 503, "did not say"),
        (vec![Fault::No, Fault::Busy(Some("400"))], 429, "no more requests"),
    ] {
        scene.cloud.fail(faults);
        let (seen, problem) = scene.create("home").await;
        assert_eq!(seen, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{problem}");
        assert_eq!(scene.toolboxes().await, json!([]), "{says}");
        assert_eq!(scene.cloud.ids(), [0; 0], "{says}");
    }
    assert_eq!(scene.create("home").await.0, 201);
}

#[tokio::test]
async fn a_short_wait_is_waited_and_a_long_one_is_passed_on_within_bounds() {
    let scene = Scene::new().await;
    scene.cloud.fail([Fault::Busy(Some("1")), Fault::No, Fault::Busy(Some("0"))]);
    let started = std::time::Instant::now();
    let (status, made) = scene.create("home").await;
    assert_eq!(status, 201, "{made}");
    assert!(started.elapsed() >= std::time::Duration::from_secs(2), "it did not wait");
    for (said, passed_on) in [(Some("29"), "29"), (Some("99999999"), "3600"), (Some("soon"), "60"), (None, "60")] {
        scene.cloud.fail([Fault::No, Fault::Busy(said)]);
        let reply = scene.app.respond("POST", "/api/toolboxes", Some(&scene.bearer()), &wanted("office")).await;
        assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (429, passed_on));
    }
    // Not for ever, either.
    scene.cloud.fail([Fault::Busy(Some("1")), Fault::Busy(Some("1")), Fault::Busy(Some("1"))]);
    assert_eq!(scene.create("office").await.0, 429);
}

#[tokio::test]
async fn the_token_is_not_taken_elsewhere() {
    let scene = Scene::new().await;
    let elsewhere = DigitalOcean::start().await;
    scene.cloud.fail([Fault::Elsewhere(format!("{}/v2/droplets", elsewhere.url))]);
    assert_eq!(scene.create("home").await.0, 503);
    assert_eq!(elsewhere.look(|account| account.calls.len()), 0);
}

#[tokio::test]
async fn without_a_token_or_a_release_nothing_is_made_and_the_way_is_told() {
    let scene = Scene::new().await;
    let stranger = scene.app.user().await;
    let (status, problem) = scene.app.ask(stranger, "POST", "/api/toolboxes", wanted("home")).await;
    let fix = problem["fix"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    assert!(fix.contains("\"provider:digitalocean\"") && fix.contains("\"DIGITALOCEAN_TOKEN\""), "{fix}");
    assert_eq!(scene.app.ask(stranger, "GET", "/api/toolboxes", Value::Null).await.1, json!([]));
    assert_eq!(scene.cloud.look(|account| account.calls.len()), 0, "nobody else's token was tried");

    let app = App::new().await;
    let (status, problem) = app.ask(app.user().await, "POST", "/api/toolboxes", wanted("home")).await;
    assert_eq!(status, 422, "{problem}");
    for (key, value) in [("region", "fra1 "), ("size", "a&b"), ("provider", "hetzner"), ("image", "x")] {
        let mut body = wanted("home");
        body["provision"][key] = json!(value);
        assert_eq!(scene.app.ask(scene.user, "POST", "/api/toolboxes", body).await.0, 422, "{key}");
    }
    assert_eq!(scene.create("home").await.0, 201);
}

#[tokio::test]
async fn no_log_line_and_no_row_has_a_token() {
    let scene = Scene::new().await;
    let log = crate::scene::Log::start();
    scene.cloud.fail([Fault::No, Fault::Lost, Fault::Refused(500, "oops")]);
    assert_eq!(scene.create("home").await.0, 503);
    scene.time_passes().await;
    assert_eq!(scene.create("home").await.0, 201);
    scene.cloud.fail([Fault::Refused(401, "no")]);
    assert_eq!(scene.create("office").await.0, 422);
    let user_data = scene.cloud.look(|account| account.user_data.remove(0));
    let enrolment = token_of(&user_data);
    let text = log.text();
    assert!(text.contains("a machine was asked for and no answer came") && text.contains("TRACE"), "{text}");
    let rows = "select string_agg(t::text, ' ') from app.toolbox t";
    let rows = scene.app.db.value(rows).await.unwrap()
        + &scene.app.db.value("select string_agg(m::text, ' ') from app.machine m").await.unwrap();
    for secret in [TOKEN, &enrolment, user_data.lines().find(|line| line.contains("content: \"")).unwrap().trim()] {
        assert!(!text.contains(secret) && !rows.contains(secret));
    }
}
