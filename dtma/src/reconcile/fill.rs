//! Credentials put where the specification says: a variable of their name, and in place of `{NAME}` in arguments and
//! settings. Only names that the specification lists are references; other braces stay. What was put in is not read
//! again, so a value cannot name another secret.

use protocol::{chat::Secret, server::ServerSpec};
use std::collections::BTreeMap;

/// No `Debug`: values are in it.
pub(super) struct Filled {
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
}

pub(super) fn fill(spec: &ServerSpec, secrets: &BTreeMap<String, Secret>) -> Filled {
    let mut env: BTreeMap<String, String> =
        secrets.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect();
    // A setting of the same name is a template that says how the value is used.
    env.extend(spec.env.iter().map(|(key, value)| (key.clone(), substitute(value, secrets))));
    Filled { args: spec.args.iter().map(|arg| substitute(arg, secrets)).collect(), env }
}

/// Puts values in place of `{NAME}`.
pub(super) fn substitute(template: &str, secrets: &BTreeMap<String, Secret>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let value = from.split_once('}').and_then(|(name, after)| Some((secrets.get(name)?, after)));
        match value {
            Some((value, after)) => {
                out.push_str(value.expose());
                rest = after;
            }
            None => {
                out.push('{');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ids::ServerId, server::Source};

    #[test]
    fn values_go_where_their_names_stand() {
        let spec = ServerSpec {
            id: ServerId::new(),
            name: "a".into(),
            source: Source::Oci { image: "x".into() },
            args: vec!["--dsn=pg://{USER}:{PASS}@db".into(), r#"{"json":{PASS}"#.into(), "{OTHER}".into()],
            env: [("HEADERS".to_owned(), "Bearer {PASS}".to_owned())].into(),
            secrets: vec!["USER".into(), "PASS".into()],
            hosts: vec![],
            revision: 0,
        };
        let secret = |text: &str| Secret::new(text.to_owned());
        let secrets = [("USER".to_owned(), secret("{PASS}")), ("PASS".to_owned(), secret("p}w"))].into();
        let filled = fill(&spec, &secrets);
        assert_eq!(filled.args, ["--dsn=pg://{PASS}:p}w@db", r#"{"json":p}w"#, "{OTHER}"]);
        assert_eq!(filled.env["HEADERS"], "Bearer p}w");
        assert_eq!((filled.env["USER"].as_str(), filled.env["PASS"].as_str()), ("{PASS}", "p}w"));
    }
}
