//! What a client says that it can be asked for.

use mcp::connection::Kind;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Longest text, in bytes, that is kept for a session. A client that says more is asked for nothing.
const MOST: usize = 8 << 10;

#[derive(Clone, Debug, Default)]
pub(super) struct Abilities {
    sampling: bool,
    /// Sampling with tools.
    tools: bool,
    form: bool,
    url: bool,
    roots: bool,
    /// As the client wrote it.
    text: Option<Arc<str>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    sampling: Option<Sampling<'a>>,
    #[serde(borrow)]
    elicitation: Option<Elicitation<'a>>,
    #[serde(borrow)]
    roots: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Sampling<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Elicitation<'a> {
    #[serde(borrow)]
    form: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
}

impl Abilities {
    /// From the JSON text of a client's capabilities.
    pub(super) fn read(text: &str) -> Self {
        let none = text.len() > MOST || text == "{}";
        let Some(said) = (!none).then(|| serde_json::from_str::<Said<'_>>(text).ok()).flatten() else {
            return Self::default();
        };
        let url = said.elicitation.as_ref().is_some_and(|said| said.url.is_some());
        Self {
            tools: said.sampling.as_ref().is_some_and(|said| said.tools.is_some()),
            sampling: said.sampling.is_some(),
            // Who names no mode means forms.
            form: said.elicitation.is_some_and(|said| said.form.is_some() || !url),
            url,
            roots: said.roots.is_some(),
            text: Some(text.into()),
        }
    }

    pub(super) fn any(&self) -> bool {
        self.sampling || self.form || self.url || self.roots
    }

    /// The JSON text that the client wrote.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("{}")
    }

    /// Whether the client can be asked this; `params` is the question's JSON text.
    pub(super) fn allow(&self, kind: Kind, params: &str) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            mode: Option<String>,
            #[serde(borrow)]
            tools: Option<&'a RawValue>,
            #[serde(borrow)]
            tool_choice: Option<&'a RawValue>,
        }
        let Ok(params) = serde_json::from_str::<Params<'_>>(params) else { return false };
        match kind {
            Kind::Sampling => self.sampling && (self.tools || (params.tools.is_none() && params.tool_choice.is_none())),
            Kind::Elicitation if params.mode.as_deref() == Some("url") => self.url,
            Kind::Elicitation => self.form,
            Kind::Roots => self.roots,
            Kind::Progress | Kind::Log | Kind::Withdrawn => false,
        }
    }
}
