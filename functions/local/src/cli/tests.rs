use super::*;
use protocol::server::Source;

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("agentopia").chain(line.iter().copied()))
}

#[test]
fn the_commands_are_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn home_and_json_stand_anywhere() {
    for line in [&["--home", "/h", "--json", "status"][..], &["status", "--home", "/h", "--json"]] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.home.as_deref(), Some(std::path::Path::new("/h")));
        assert!(cli.json);
    }
    let cli = parse(&["catalog", "import", "--url", "http://x", "--home", "/h"]).unwrap();
    assert!(cli.home.is_some());
}

#[test]
fn a_call_names_server_and_tool() {
    let Command::Call(call) =
        parse(&["call", "time.get_current_time", r#"{"timezone": "Asia/Tokyo"}"#]).unwrap().command
    else {
        panic!("a call")
    };
    assert_eq!((call.target.server.as_str(), call.target.tool.as_str()), ("time", "get_current_time"));
    assert_eq!(call.arguments["timezone"], "Asia/Tokyo");
    let Command::Call(call) = parse(&["call", "a.b.c"]).unwrap().command else { panic!("a call") };
    assert_eq!((call.target.tool.as_str(), call.arguments.to_string().as_str()), ("b.c", "{}"));
    for bad in [&["call", "time"][..], &["call", ".x"], &["call", "x."], &["call", "a.b", "[1]"], &["call", "a.b", "{"]]
    {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_deployment_says_its_source() {
    let source = |text: &str| {
        parse(&["deploy", text]).map(|cli| match cli.command {
            Command::Deploy(deploy) => deploy.source.0,
            _ => panic!("a deployment"),
        })
    };
    let npx = |package: &str, version: Option<&str>| Source::Npx {
        package: package.into(),
        version: version.map(str::to_owned),
    };
    assert_eq!(source("npx:@scope/pkg@1.2.3").unwrap(), npx("@scope/pkg", Some("1.2.3")));
    assert_eq!(source("npx:@scope/pkg").unwrap(), npx("@scope/pkg", None));
    assert_eq!(source("npx:pkg@1").unwrap(), npx("pkg", Some("1")));
    let uvx = Source::Uvx { package: "mcp-server-time".into(), version: Some("2026.1.1".into()) };
    assert_eq!(source("uvx:mcp-server-time@2026.1.1").unwrap(), uvx);
    assert_eq!(source("uvx:mcp-server-time==2026.1.1").unwrap(), uvx);
    let image = "registry.example:5000/a/b@sha256:00";
    assert_eq!(source(&format!("oci:{image}")).unwrap(), Source::Oci { image: image.into() });
    for bad in
        ["pkg", "npx:", "npx:@scope", "npx:a@", "ftp:x", "uvx:a b", "oci:", "npx:--registry=http://x", "npx:../x"]
    {
        assert!(source(bad).is_err(), "{bad}");
    }
}

#[test]
fn arguments_of_a_server_follow_two_dashes() {
    let Command::Deploy(deploy) =
        parse(&["deploy", "npx:a", "--name", "x", "--env", "A=b=c", "--", "--flag", "value"]).unwrap().command
    else {
        panic!("a deployment")
    };
    assert_eq!(deploy.args, ["--flag", "value"]);
    assert_eq!(deploy.env, [("A".to_owned(), "b=c".to_owned())]);
    assert!(parse(&["deploy", "npx:a", "--env", "1A=b"]).is_err());
}

#[test]
fn a_secret_is_never_an_argument() {
    // Credentials come from a file, standard input or the terminal; no option takes a value.
    assert!(parse(&["chat", "x", "--credential", "a=b"]).is_err());
    assert!(parse(&["chat", "x", "--credentials-file", "/f"]).is_ok());
}

#[test]
fn a_session_is_an_id_or_the_last() {
    let session = |text: &str| {
        parse(&["chat", "--session", text, "x"]).map(|cli| match cli.command {
            Command::Chat(chat) => chat.session,
            _ => panic!("a chat"),
        })
    };
    assert_eq!(session("last").unwrap(), Some(Session::Last));
    let id = SessionId::new();
    assert_eq!(session(&id.to_string()).unwrap(), Some(Session::Id(id)));
    assert!(session("yesterday").is_err());
}

#[test]
fn every_command_has_help() {
    use clap::CommandFactory;
    for command in Cli::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
    }
}

#[test]
fn a_remote_server_has_headers() {
    let line = ["deploy", "remote:https://a.example/mcp", "--header", "Authorization: Bearer {KEY}", "--secret", "KEY"];
    let Command::Deploy(deploy) = parse(&line).unwrap().command else { panic!("a deployment") };
    assert_eq!(deploy.source.0, Source::Remote { url: "https://a.example/mcp".into() });
    assert_eq!(deploy.header, [("Authorization".to_owned(), "Bearer {KEY}".to_owned())]);
    assert!(parse(&["deploy", "remote:https://a.example/mcp", "--header", "no value"]).is_err());
}
