//! Credentials put where the specification says: a variable of their name, and in place of `{NAME}` in arguments and
//! settings. One that is a file (`file:NAME`) is written where the server finds it, and its path stands in those places.
//! Only names that the specification lists are references; other braces stay. What was put in is not read again, so a value
//! cannot name another secret.

use crate::docker::given::{self, Given};
use domain::launch::file;
use protocol::{chat::Secret, server::ServerSpec};
use std::collections::BTreeMap;

/// What may be seen, and what may not.
pub(super) struct Filled {
    /// The command line's arguments; references in them stay.
    pub(super) args: Vec<String>,
    /// Settings without a secret.
    pub(super) env: BTreeMap<String, String>,
    pub(super) given: Given,
}

/// Every secret of the specification is among `secrets`.
pub(super) fn fill(spec: &ServerSpec, secrets: BTreeMap<String, Secret>) -> Filled {
    let mut given = Given::default();
    let mut values = BTreeMap::new();
    for (key, secret) in secrets {
        let (variable, value) = match file(&key) {
            None => (key.clone(), secret.expose().to_owned()),
            Some(name) => {
                let name = name.to_owned();
                let path = given::path(&name);
                given.files.insert(name.clone(), secret);
                (name, path)
            }
        };
        given.variables.insert(variable, value.clone());
        values.insert(key, value);
    }
    let known = |name: &str| values.get(name).map(String::as_str);
    let mut env = BTreeMap::new();
    for (key, template) in &spec.env {
        let value = substitute(template, known);
        // A setting of a secret's name is a template that says how the value is used.
        if value == *template && !given.variables.contains_key(key) {
            env.insert(key.clone(), value);
        } else {
            given.variables.insert(key.clone(), value);
        }
    }
    let args: Vec<String> = spec.args.iter().map(|arg| substitute(arg, known)).collect();
    if args != spec.args {
        given.arguments = args;
    }
    Filled { args: spec.args.clone(), env, given }
}

/// Puts values in place of `{NAME}`.
pub(super) fn substitute<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        out.push_str(before);
        let found = from.split_once('}').and_then(|(name, after)| Some((value(name)?, after)));
        match found {
            Some((value, after)) => {
                out.push_str(value);
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

    fn filled(args: &[&str], env: &[(&str, &str)], secrets: &[(&str, &str)]) -> Filled {
        let spec = ServerSpec {
            id: ServerId::new(),
            name: "a".into(),
            source: Source::Oci { image: "x".into() },
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            secrets: secrets.iter().map(|(key, _)| (*key).to_owned()).collect(),
            hosts: vec![],
            revision: 0,
        };
        let secrets = secrets.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned())));
        fill(&spec, secrets.collect())
    }

    #[test]
    fn values_go_where_their_names_stand_and_nowhere_else() {
        let args = ["--dsn=pg://{USER}:{PASS}@db", r#"{"json":{PASS}"#, "{OTHER}"];
        let env = [("HEADERS", "Bearer {PASS}"), ("MODE", "{fast}")];
        let filled = filled(&args, &env, &[("USER", "{PASS}"), ("PASS", "p}w")]);
        assert_eq!(filled.given.arguments, ["--dsn=pg://{PASS}:p}w@db", r#"{"json":p}w"#, "{OTHER}"]);
        let given = |key: &str| filled.given.variables[key].as_str();
        assert_eq!((given("HEADERS"), given("USER"), given("PASS")), ("Bearer p}w", "{PASS}", "p}w"));
        // What everybody may see is as it was written.
        assert_eq!(filled.args, args);
        assert_eq!(filled.env, [("MODE".to_owned(), "{fast}".to_owned())].into());
    }

    #[test]
    fn without_secrets_nothing_is_given() {
        let filled = filled(&["--all"], &[("A", "b")], &[]);
        assert_eq!((filled.args.as_slice(), filled.env["A"].as_str()), (["--all".to_owned()].as_slice(), "b"));
        assert!(
            filled.given.variables.is_empty() && filled.given.arguments.is_empty() && filled.given.files.is_empty()
        );
    }

    #[test]
    fn a_file_is_written_and_its_path_said() {
        let filled = filled(&["--key", "{file:KEY_FILE}"], &[], &[("file:KEY_FILE", "-----BEGIN")]);
        assert_eq!(filled.given.files["KEY_FILE"].expose(), "-----BEGIN");
        assert_eq!(filled.given.variables, [("KEY_FILE".to_owned(), "/tmp/credentials/KEY_FILE".to_owned())].into());
        assert_eq!(filled.given.arguments, ["--key", "/tmp/credentials/KEY_FILE"]);
    }
}
