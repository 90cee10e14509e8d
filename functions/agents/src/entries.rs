//! What the catalog knows about the packages of a configuration.

use crate::config::Parsed;
use database::{Caller, Database, Error};
use domain::launch::{Launch, launch};
use protocol::{catalog::ServerJson, server::Source};
use std::collections::BTreeMap;

/// Entries by package, as [`key`] writes it.
pub(crate) struct Entries(BTreeMap<String, ServerJson>);

/// The catalog's way to write a package.
fn key(source: &Source) -> Option<String> {
    match source {
        Source::Npx { package, .. } => Some(format!("npm:{package}")),
        Source::Uvx { package, .. } => Some(format!("pypi:{package}")),
        Source::Oci { image } => Some(format!("oci:{image}")),
        Source::Remote { .. } => None,
    }
}

impl Entries {
    pub(crate) async fn find<'a>(
        database: &Database,
        caller: &Caller,
        sources: impl Iterator<Item = &'a Source>,
    ) -> Result<Self, Error> {
        let packages: Vec<String> = sources.filter_map(key).collect();
        if packages.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        database.catalog_package_find(caller, &packages).await.map(Self)
    }

    pub(crate) fn get(&self, source: &Source) -> Option<&ServerJson> {
        self.0.get(&key(source)?)
    }

    /// Where the server may connect to: what its entry says, else any public address, since its user chose it.
    pub(crate) fn hosts(&self, source: &Source) -> Vec<String> {
        if matches!(source, Source::Remote { .. }) {
            return Vec::new();
        }
        let known: Option<Launch> = self.get(source).and_then(|entry| launch(entry).ok());
        known.map_or_else(|| vec!["*".to_owned()], |launch| launch.hosts)
    }

    /// Moves to the secrets what looked like a plain setting and its publisher calls secret.
    pub(crate) fn correct(&self, parsed: &mut Parsed) {
        let Some(entry) = self.get(&parsed.source) else { return };
        let variables = entry.packages.iter().flat_map(|package| &package.environment_variables);
        for variable in variables.filter(|variable| variable.is_secret) {
            if let Some(value) = parsed.env.remove(&variable.name) {
                parsed.secrets.push(variable.name.clone());
                parsed.values.push((variable.name.clone(), protocol::chat::Secret::new(value)));
            }
        }
    }
}
