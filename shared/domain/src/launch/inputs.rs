use super::{Refusal, check};
use protocol::catalog::Input;
use serde_json::{Map, Value};

/// Something that the user may or must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name in the vault and of the variable; with [`super::file`]'s prefix when the variable leads to a file.
    pub key: String,
    /// As the entry has it: untrusted, and perhaps empty.
    pub description: String,
    pub secret: bool,
    /// There is no default, and the server does not work without it.
    pub required: bool,
}

/// Inputs of one entry. The same name is the same input, wherever it occurs.
#[derive(Default)]
pub(super) struct Inputs(Vec<Wanted>);

impl Inputs {
    /// The value that is known now, with references left where the user's values go; `None` when there is nothing to set
    /// until the user gives it.
    pub(super) fn resolve(&mut self, name: &str, input: &Input) -> Result<Option<String>, Refusal> {
        if let Some(value) = &input.value {
            return self.substitute(value, &input.variables);
        }
        self.want(Wanted {
            key: name.to_owned(),
            description: input.description.clone().unwrap_or_default(),
            secret: input.is_secret,
            required: input.is_required && input.default.is_none(),
        })?;
        Ok(input.default.clone())
    }

    pub(super) fn is_required(&self, key: &str) -> bool {
        self.0.iter().any(|wanted| wanted.key == key && wanted.required)
    }

    pub(super) fn into_wanted(self) -> Vec<Wanted> {
        self.0
    }

    /// `None` when a part that need not be given is not.
    fn substitute(&mut self, template: &str, variables: &Map<String, Value>) -> Result<Option<String>, Refusal> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        let mut complete = true;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            out.push_str(before);
            let reference =
                from[1..].find('}').map(|close| &from[1..=close]).filter(|name| variables.contains_key(*name));
            let Some(name) = reference else {
                out.push('{');
                rest = &from[1..];
                continue;
            };
            // The schema calls them variables and gives them the shape of an input without a name.
            let variable: Input = serde_json::from_value(variables[name].clone()).map_err(|_| Refusal::Variable)?;
            let key = if check::variable_name(name) { name.to_owned() } else { check::key_from(name) };
            match variable.value.as_ref().or(variable.default.as_ref()) {
                Some(known) => out.push_str(known),
                None if variable.is_required && key.is_empty() => return Err(Refusal::Variable),
                None if variable.is_required => {
                    out.push_str(&format!("{{{key}}}"));
                    self.want(Wanted {
                        key,
                        description: variable.description.unwrap_or_default(),
                        secret: variable.is_secret,
                        required: true,
                    })?;
                }
                None => complete = false,
            }
            rest = &from[name.len() + 2..];
        }
        out.push_str(rest);
        Ok(complete.then_some(out))
    }

    fn want(&mut self, wanted: Wanted) -> Result<(), Refusal> {
        if wanted.key.is_empty() {
            return if wanted.required { Err(Refusal::Argument) } else { Ok(()) };
        }
        let many = self.0.len() >= check::ARGUMENTS_MAX * 2;
        match self.0.iter_mut().find(|known| known.key == wanted.key) {
            Some(known) => {
                known.secret |= wanted.secret;
                known.required |= wanted.required;
                if known.description.is_empty() {
                    known.description = wanted.description;
                }
            }
            None if many => return Err(Refusal::Variable),
            None => self.0.push(wanted),
        }
        Ok(())
    }
}
