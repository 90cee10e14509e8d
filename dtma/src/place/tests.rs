use super::{Error, Place};

#[test]
fn plain_http_is_for_the_loopback_only() {
    for (listen, host, url, hosts) in [
        ("127.0.0.1:8788", None, "http://127.0.0.1:8788/mcp", vec![]),
        ("[::1]:8788", None, "http://[::1]:8788/mcp", vec![]),
        ("[::ffff:127.0.0.1]:1", None, "http://[::ffff:127.0.0.1]:1/mcp", vec![]),
        ("10.0.0.5:8788", None, "https://10.0.0.5:8788/mcp", vec!["10.0.0.5"]),
        ("10.0.0.5:1", Some("Box.Example."), "https://box.example:1/mcp", vec!["box.example", "10.0.0.5"]),
        ("0.0.0.0:8788", Some("203.0.113.9"), "https://203.0.113.9:8788/mcp", vec!["203.0.113.9"]),
        ("[::]:8788", Some("2001:db8::9"), "https://[2001:db8::9]:8788/mcp", vec!["2001:db8::9"]),
        ("[::]:8788", Some("[2001:db8::9]"), "https://[2001:db8::9]:8788/mcp", vec!["2001:db8::9"]),
    ] {
        let place = Place::parse(listen, host).expect(listen);
        assert_eq!((place.url().as_str(), place.is_exposed()), (url, url.starts_with("https")), "{listen}");
        assert_eq!(place.hosts(), hosts, "{listen}");
    }
}

#[test]
fn a_place_without_a_name_is_none() {
    assert!(matches!(Place::parse("0.0.0.0:8788", None), Err(Error::Nameless(_))));
    assert!(matches!(Place::parse("[::]:8788", None), Err(Error::Nameless(_))));
    assert!(matches!(Place::parse("everywhere", None), Err(Error::Listen(_))));
    for host in ["", "box.example:8788", "https://box.example", "box.example/mcp", "a b", "user@box.example"] {
        assert!(matches!(Place::parse("10.0.0.5:8788", Some(host)), Err(Error::Host(_))), "{host}");
    }
}
