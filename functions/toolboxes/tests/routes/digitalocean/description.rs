//! DigitalOcean's published API description, as far as it is used: `derive.py` makes `description.json` from it.

use serde_json::Value;
use std::sync::LazyLock;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("description.json")).unwrap());

/// An operation that the description has.
#[derive(Clone, Copy)]
pub(super) struct Operation(&'static Value);

impl Operation {
    pub(super) fn find(method: &str, path: &str) -> Option<Self> {
        let fits = |template: &str| {
            let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            let same = |(said, asked): (&&str, &&str)| said.starts_with('{') || said == asked;
            template.len() == path.len() && template.iter().zip(&path).all(same)
        };
        let (_, methods) = DESCRIPTION["paths"].as_object().unwrap().iter().find(|(template, _)| fits(template))?;
        methods.get(method.to_lowercase()).map(Self)
    }

    /// What is wrong with a request, by the description.
    pub(super) fn wrong(self, path: &str, query: &[(String, String)], body: Option<&Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        let parameters = self.0["parameters"].as_array().unwrap();
        for (name, _) in query {
            if !parameters.iter().any(|parameter| parameter["in"] == "query" && parameter["name"] == name.as_str()) {
                wrong.push(format!("there is no query parameter {name}"));
            }
        }
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap();
            let said = match parameter["in"].as_str().unwrap() {
                "query" => query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
                "path" => path.rsplit('/').next().map(str::to_owned),
                elsewhere => panic!("a parameter in {elsewhere}"),
            };
            match said {
                None if parameter["required"] == true => wrong.push(format!("{name} is missing")),
                None => {}
                Some(text) => {
                    let number = parameter["schema"]["type"] == "integer";
                    let value = text.parse::<i64>().ok().filter(|_| number).map_or(Value::from(text), Value::from);
                    wrong.extend(against(&parameter["schema"], &value));
                }
            }
        }
        match (self.0.get("body"), body) {
            (None, None) => {}
            (Some(schema), Some(body)) => {
                wrong.extend(against(schema, body));
                // The description forbids nothing; a word that it does not know is one that we got wrong.
                let mut known = Vec::new();
                properties(schema, &mut known);
                let fields = body.as_object().unwrap().keys();
                wrong.extend(fields.filter(|name| !known.contains(name)).map(|name| format!("there is no {name}")));
            }
            (schema, _) => wrong.push(format!("a body is {}", if schema.is_some() { "missing" } else { "too much" })),
        }
        wrong
    }

    /// The description's example of a reply, if it has a body.
    pub(super) fn example(self, status: u16) -> Option<Value> {
        self.reply(status)["example"].as_object().cloned().map(Value::Object)
    }

    /// A reply as the description allows it.
    pub(super) fn check(self, status: u16, body: &Value) {
        let wrong = against(&self.reply(status)["schema"], body);
        assert!(wrong.is_empty(), "{status} {body}: {wrong:?}");
    }

    fn reply(self, status: u16) -> &'static Value {
        let replies = &self.0["responses"];
        replies.get(status.to_string()).unwrap_or(&replies["default"])
    }
}

fn against(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

fn properties<'a>(schema: &'a Value, known: &mut Vec<&'a String>) {
    known.extend(schema["properties"].as_object().into_iter().flat_map(|named| named.keys()));
    for parts in ["allOf", "oneOf"] {
        schema[parts].as_array().into_iter().flatten().for_each(|part| properties(part, known));
    }
}
