//! The table of routes: what a function serves, and who may ask.
//!
//! The OpenAPI document is made from it, and the coverage test walks it: every route that is not open answers 401 without
//! a token.

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A signed-in user.
    User,
    /// A toolbox, with a token that it signed itself.
    Device,
    /// A user who runs this installation.
    Operator,
    /// Whoever holds an enrolment token that was not used yet.
    Enrolment,
    /// Anybody.
    Open,
}

/// One method at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    /// As axum writes it: `/api/agents/{id}`.
    pub path: &'static str,
    pub who: Who,
    /// One line that says what it does.
    pub summary: &'static str,
    /// Names of its query parameters.
    pub query: &'static [&'static str],
}

impl Route {
    pub const fn new(method: &'static str, path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method, path, who, summary, query: &[] }
    }

    pub const fn get(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self::new("GET", path, who, summary)
    }

    pub const fn post(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self::new("POST", path, who, summary)
    }

    pub const fn put(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self::new("PUT", path, who, summary)
    }

    pub const fn patch(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self::new("PATCH", path, who, summary)
    }

    pub const fn delete(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self::new("DELETE", path, who, summary)
    }

    pub const fn with_query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    /// The names of the parts of the path that vary.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| name.trim_start_matches('*'))
    }
}
