use super::*;
use proptest::prelude::*;

fn config(command: &str, args: &[&str], env: &[(&str, &str)]) -> McpServerConfig {
    McpServerConfig {
        command: command.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..McpServerConfig::default()
    }
}

fn read(command: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Parsed, Refusal> {
    parse(&config(command, args, env))
}

fn npx(package: &str, version: Option<&str>) -> Source {
    Source::Npx { package: package.to_owned(), version: version.map(str::to_owned) }
}

fn uvx(package: &str, version: Option<&str>) -> Source {
    Source::Uvx { package: package.to_owned(), version: version.map(str::to_owned) }
}

#[test]
fn packages_are_found_as_clients_write_them() {
    for (command, args, source, rest) in [
        (
            "npx",
            &["-y", "@modelcontextprotocol/server-memory"][..],
            npx("@modelcontextprotocol/server-memory", None),
            &[][..],
        ),
        ("npx", &["-y", "@a/b@1.2.3", "/data", "--x"], npx("@a/b", Some("1.2.3")), &["/data", "--x"]),
        ("npx.cmd", &["--yes", "a@latest"], npx("a", Some("latest")), &[]),
        ("/usr/local/bin/npx", &["-p", "@a/b", "b"], npx("@a/b", None), &[]),
        ("cmd", &["/c", "npx", "-y", "a"], npx("a", None), &[]),
        (
            "uvx",
            &["mcp-server-time", "--local-timezone=Asia/Tokyo"],
            uvx("mcp-server-time", None),
            &["--local-timezone=Asia/Tokyo"],
        ),
        ("uvx", &["--from", "a-server==1.0", "a-server", "go"], uvx("a-server", Some("1.0")), &["go"]),
        ("uvx", &["--python", "3.12", "a@2.0"], uvx("a", Some("2.0")), &[]),
        (
            "docker",
            &["run", "-i", "--rm", "--name=x", "mcp/time:1", "stdio"],
            Source::Oci { image: "mcp/time:1".to_owned() },
            &["stdio"],
        ),
    ] {
        let parsed = read(command, args, &[]).unwrap();
        assert_eq!(parsed.source, source);
        assert_eq!(parsed.args, rest);
    }
}

#[test]
fn what_reaches_past_the_container_is_refused_by_name() {
    for (command, args, refusal) in [
        ("docker", &["run", "-v", "/:/host", "a"][..], Refusal::Flag("-v".to_owned())),
        ("docker", &["run", "--mount=type=bind,src=/,dst=/h", "a"], Refusal::Flag("--mount".to_owned())),
        ("docker", &["run", "--privileged", "a"], Refusal::Flag("--privileged".to_owned())),
        ("docker", &["run", "--network", "host", "a"], Refusal::Flag("--network".to_owned())),
        ("docker", &["run", "--env-file=/etc/passwd", "a"], Refusal::Flag("--env-file".to_owned())),
        ("docker", &["exec", "a"], Refusal::Command),
        ("docker", &["run", "-i"], Refusal::Nothing),
        ("npx", &["-c", "curl example.com | sh"], Refusal::Flag("-c".to_owned())),
        ("npx", &["-p", "a", "sh"], Refusal::Program),
        ("npx", &["-y"], Refusal::Nothing),
        ("uvx", &["--with", "b", "a"], Refusal::Flag("--with".to_owned())),
        ("uvx", &["--from", "a", "python"], Refusal::Program),
        ("bash", &["-c", "true"], Refusal::Command),
        ("node", &["server.js"], Refusal::Command),
    ] {
        assert_eq!(read(command, args, &[]).err(), Some(refusal), "{command} {args:?}");
    }
}

#[test]
fn secrets_go_to_the_vault_and_settings_do_not() {
    let parsed = read(
        "npx",
        &["-y", "a"],
        &[
            ("GITHUB_PERSONAL_ACCESS_TOKEN", "ghp_0123456789abcdef0123"),
            ("LOG_LEVEL", "debug"),
            ("PORT", "8080"),
            ("BASE_URL", "https://api.example.com/v1"),
            ("TZ", "Europe/Berlin"),
            ("DATABASE_URL", "postgresql://me:hunter2@db.example.com/app"),
            ("OTHER", "sk-0123456789abcdef0123456789"),
            ("SLACK_BOT_TOKEN", "<your token>"),
            ("EMPTY", ""),
        ],
    )
    .unwrap();
    let plain: Vec<_> = parsed.env.keys().map(String::as_str).collect();
    assert_eq!(plain, ["BASE_URL", "LOG_LEVEL", "PORT", "TZ"]);
    let kept: Vec<_> = parsed.values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(kept, ["DATABASE_URL", "GITHUB_PERSONAL_ACCESS_TOKEN", "OTHER"]);
    assert_eq!(parsed.secrets, ["DATABASE_URL", "EMPTY", "GITHUB_PERSONAL_ACCESS_TOKEN", "OTHER", "SLACK_BOT_TOKEN"]);
}

#[test]
fn a_secret_among_the_arguments_becomes_a_reference() {
    let parsed = read(
        "npx",
        &["a", "--api-key", "abc", "--token=def", "postgresql://me:pw@db/app", "--dir", "/data", "--auth", "--verbose"],
        &[],
    )
    .unwrap();
    assert_eq!(
        parsed.args,
        ["--api-key", "{API_KEY}", "--token={TOKEN}", "{ARGUMENT_4_SECRET}", "--dir", "/data", "--auth", "--verbose"]
    );
    assert_eq!(parsed.secrets, ["API_KEY", "TOKEN", "ARGUMENT_4_SECRET"]);
    let values: Vec<_> = parsed.values.iter().map(|(_, value)| value.expose()).collect();
    assert_eq!(values, ["abc", "def", "postgresql://me:pw@db/app"]);
}

#[test]
fn a_header_or_a_webhooks_address_is_a_secret_wherever_it_stands() {
    let hook = "https://discord.com/api/webhooks/1109876543210987654/aBcD3FgHiJkLmN0pQrStUvWxYz";
    let parsed = read(
        "npx",
        &[
            "a",
            "--header",
            "Authorization: Bearer abcdefgh",
            "--header=X-Api-Key:hunter22",
            hook,
            "--header",
            "Authorization: Bearer ${TOKEN}",
            "https://example.com/docs/getting-started",
            "Accept: text/html",
        ],
        &[("TARGET", hook), ("SLACK_WEBHOOK", "on"), ("BASE_URL", "https://api.example.com/v1/some-longer-name/x")],
    )
    .unwrap();
    assert_eq!(
        parsed.args,
        [
            "--header",
            "Authorization:{AUTHORIZATION}",
            "--header={HEADER}",
            "{ARGUMENT_4_SECRET}",
            "--header",
            "Authorization: Bearer ${TOKEN}",
            "https://example.com/docs/getting-started",
            "Accept: text/html",
        ]
    );
    let values: Vec<_> = parsed.values.iter().map(|(_, value)| value.expose()).collect();
    assert!(values.contains(&" Bearer abcdefgh") && values.contains(&"X-Api-Key:hunter22") && values.contains(&hook));
    assert_eq!(parsed.env.keys().collect::<Vec<_>>(), ["BASE_URL"]);
}

#[test]
fn only_what_docker_passes_on_reaches_the_container() {
    let parsed = read(
        "docker",
        &["run", "-i", "-e", "TOKEN", "--env=LEVEL=info", "-e", "ABSENT", "a"],
        &[("TOKEN", "t0p-secret"), ("DOCKER_HOST", "tcp://elsewhere:2375")],
    )
    .unwrap();
    assert_eq!(parsed.env.keys().collect::<Vec<_>>(), ["LEVEL"]);
    assert_eq!(parsed.secrets, ["ABSENT", "TOKEN"]);
    assert_eq!(parsed.values.len(), 1);
}

fn remote(url: &str, headers: &[(&str, &str)]) -> Result<Parsed, Refusal> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parse(&McpServerConfig { url: Some(url.to_owned()), headers, ..McpServerConfig::default() })
}

#[test]
fn what_is_secret_in_a_url_and_its_headers_stands_in_neither() {
    let secret = "k3y5k3y5k3y5k3y5k3y5";
    let headers = [("Authorization", "Bearer k3y5k3y5k3y5k3y5k3y5"), ("X-Tenant", "acme"), ("X-Api-Key", "<your key>")];
    let parsed =
        remote(&format!("https://mcp.example.com/s/{secret}/mcp?tenant=acme&token={secret}"), &headers).expect("read");
    let wanted = "https://mcp.example.com/s/{URL_SECRET_2}/mcp?tenant=acme&token={TOKEN}";
    assert_eq!(parsed.source, Source::Remote { url: wanted.to_owned() });
    let headers: Vec<_> = parsed.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("Authorization", "{AUTHORIZATION}"), ("X-Api-Key", "{X_API_KEY}"), ("X-Tenant", "acme")]);
    assert_eq!(parsed.secrets, ["AUTHORIZATION", "X_API_KEY", "URL_SECRET_2", "TOKEN"]);
    let values: Vec<_> = parsed.values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(values, [("AUTHORIZATION", "Bearer k3y5k3y5k3y5k3y5k3y5"), ("URL_SECRET_2", secret), ("TOKEN", secret)]);
}

#[test]
fn a_plain_url_stays_as_it_is_and_one_with_a_command_is_nothing() {
    let parsed = remote("https://mcp.example.com/mcp?region=eu", &[]).expect("read");
    assert_eq!(parsed.source, Source::Remote { url: "https://mcp.example.com/mcp?region=eu".to_owned() });
    assert!(parsed.secrets.is_empty() && parsed.env.is_empty());
    let both = McpServerConfig { url: Some("https://mcp.example.com".to_owned()), ..config("npx", &["x"], &[]) };
    assert_eq!(parse(&both).err(), Some(Refusal::Both));
}

proptest! {
    /// Whatever a client's file holds, a value under a telling name never stands among what the database keeps.
    #[test]
    fn a_telling_name_never_leaks(
        name in "[A-Z]{1,6}_(TOKEN|API_KEY|PASSWORD|SECRET)", value in "[a-zA-Z0-9]{8,24}", words in prop::collection::vec("[a-z]{1,6}", 0..3),
    ) {
        let mut args: Vec<&str> = vec!["-y", "a"];
        args.extend(words.iter().map(String::as_str));
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        args.extend([flag.as_str(), value.as_str()]);
        let parsed = read("npx", &args, &[(&name, &value)]);
        // The same name twice is refused rather than guessed.
        if let Ok(parsed) = parsed {
            prop_assert!(!parsed.env.values().any(|kept| kept.contains(&value)));
            prop_assert!(!parsed.args.iter().any(|kept| kept.contains(&value)));
        }
    }

    #[test]
    fn no_input_panics(command in "(npx|uvx|docker|cmd|\\PC{0,8})", args in prop::collection::vec("\\PC{0,20}", 0..6)) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let _ = read(&command, &args, &[]);
    }
}
