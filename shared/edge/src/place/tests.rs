use super::Place;
use http::{HeaderMap, Method, StatusCode, header};

fn place() -> Place {
    Place::new("http://box.example:8787").expect("an address")
}

fn check(method: Method, target: &str, headers: &[(header::HeaderName, &str)]) -> Option<StatusCode> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value.parse().expect("a header"));
    }
    let known = ["https://console.example".to_owned()];
    place().check(&method, &target.parse().expect("a target"), &map, &known).err().map(|error| error.status())
}

#[test]
fn only_its_own_names_are_its_hosts() {
    for host in
        ["127.0.0.1:8787", "127.0.0.1", "127.1.2.3:1", "localhost:8787", "LOCALHOST", "[::1]:8787", "Box.Example:8787"]
    {
        assert_eq!(check(Method::POST, "/api", &[(header::HOST, host)]), None, "{host}");
    }
    for host in [
        "",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "0.0.0.0:8787",
        "192.168.1.2:8787",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "localhost:x",
    ] {
        let refused = Some(StatusCode::FORBIDDEN);
        assert_eq!(check(Method::GET, "/api", &[(header::HOST, host)]), refused, "{host}");
        assert_eq!(check(Method::POST, "/api", &[(header::HOST, host)]), refused, "{host}");
    }
}

#[test]
fn a_request_names_one_host_once() {
    let (own, foreign) = ((header::HOST, "localhost:8787"), (header::HOST, "evil.example"));
    let refused = Some(StatusCode::FORBIDDEN);
    assert_eq!(check(Method::GET, "/api", &[]), refused);
    assert_eq!(check(Method::GET, "/api", &[own.clone(), foreign.clone()]), refused);
    assert_eq!(check(Method::GET, "http://evil.example/api", std::slice::from_ref(&own)), refused);
    assert_eq!(check(Method::GET, "http://localhost:8787/api", &[foreign]), refused);
    assert_eq!(check(Method::GET, "http://localhost:8787/api", &[own]), None);
}

#[test]
fn a_foreign_page_changes_nothing() {
    let ask =
        |method: Method, origin| check(method, "/api", &[(header::HOST, "localhost:8787"), (header::ORIGIN, origin)]);
    for origin in [
        "http://localhost:8787",
        "http://127.0.0.1:8787",
        "http://[::1]:8787",
        "http://box.example:8787",
        "https://console.example",
    ] {
        assert_eq!(ask(Method::POST, origin), None, "{origin}");
    }
    for origin in [
        "null",
        "",
        "https://evil.example",
        // Another program of this machine.
        "http://localhost:3000",
        "http://localhost",
        "http://localhost:8787.evil.example",
        "http://localhost:8787@evil.example",
        "file://localhost:8787",
        "https://console.example.evil.example",
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(ask(method, origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
        // What it may not read, CORS keeps from it.
        assert_eq!(ask(Method::GET, origin), None, "{origin}");
    }
}
