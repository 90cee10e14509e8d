use super::*;

fn config(variables: &[(&str, &str)]) -> Result<Option<Config>, Error> {
    Config::from_env(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

fn found(variables: &[(&str, &str)]) -> (String, Wire, String, String) {
    let config = config(variables).unwrap().unwrap();
    (config.url.to_string(), config.wire, config.model, config.key.to_string())
}

#[test]
fn nothing_set_is_no_model() {
    assert!(config(&[]).unwrap().is_none());
    assert!(config(&[("OPENAI_API_KEY", "  ")]).unwrap().is_none());
}

#[test]
fn a_companys_key_is_enough() {
    let (url, wire, _, key) = found(&[("ANTHROPIC_API_KEY", "a")]);
    assert_eq!((url.as_str(), wire, key.as_str()), ("https://api.anthropic.com/v1/", Wire::Anthropic, "a"));
    let (url, wire, model, _) = found(&[("OPENAI_API_KEY", "o"), ("AGENTOPIA_MODEL", "gpt-x")]);
    assert_eq!((url.as_str(), wire, model.as_str()), ("https://api.openai.com/v1/", Wire::OpenAi, "gpt-x"));
}

#[test]
fn an_address_is_taken_with_or_without_its_version() {
    for (given, base) in [
        ("http://127.0.0.1:4010", "http://127.0.0.1:4010/v1/"),
        ("http://127.0.0.1:4010/v1/", "http://127.0.0.1:4010/v1/"),
        ("https://x.y/v1beta/openai", "https://x.y/v1beta/openai/"),
        ("https://x.y/anthropic", "https://x.y/anthropic/v1/"),
        ("https://x.y/v1/chat/completions", "https://x.y/v1/"),
        ("https://x.y/v1/messages", "https://x.y/v1/"),
    ] {
        assert_eq!(found(&[("AGENTOPIA_MODEL_URL", given), ("AGENTOPIA_MODEL", "m")]).0, base);
    }
    assert!(config(&[("AGENTOPIA_MODEL_URL", "file:///x"), ("AGENTOPIA_MODEL", "m")]).is_err());
    assert!(config(&[("AGENTOPIA_MODEL_URL", "http://x")]).is_err());
}

#[test]
fn the_wire_format_is_said_or_worked_out() {
    let url = ("AGENTOPIA_MODEL_URL", "http://h");
    let model = ("AGENTOPIA_MODEL", "m");
    assert_eq!(found(&[url, model]).1, Wire::OpenAi);
    assert_eq!(found(&[url, model, ("ANTHROPIC_API_KEY", "k")]).1, Wire::Anthropic);
    assert_eq!(
        found(&[url, model, ("AGENTOPIA_MODEL_WIRE", "anthropic"), ("AGENTOPIA_MODEL_KEY", "k")]).1,
        Wire::Anthropic
    );
    assert_eq!(found(&[("AGENTOPIA_MODEL_URL", "https://api.anthropic.com"), model]).1, Wire::Anthropic);
    assert!(config(&[url, model, ("AGENTOPIA_MODEL_WIRE", "grpc")]).is_err());
    // An explicit key wins over a company's.
    assert_eq!(found(&[url, model, ("AGENTOPIA_MODEL_KEY", "own"), ("OPENAI_API_KEY", "o")]).3, "own");
}
