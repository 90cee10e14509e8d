//! From a request to a plan.

use super::{Outcome, Turn};
use crate::{find::Found, propose, reply};
use domain::{
    intent::{Intent, intent},
    plan::{self, Rules},
};
use edge::Error;
use std::collections::BTreeMap;

/// Candidates for each need.
const LIMIT: usize = 10;

impl Turn {
    pub(super) async fn plan(&mut self, message: &str) -> Result<Outcome, Error> {
        let message = message.trim();
        if message.is_empty() {
            return Ok(match self.session.plan {
                Some(_) => Outcome::Say(reply::where_we_are(&self.session)),
                None => Outcome::Aside(reply::HELP.to_owned()),
            });
        }
        let (found, picks) = self.find(message).await?;
        let planned = plan::plan(message, &found.needs, &self.rules(), &picks);
        let nothing = planned.plan.capabilities.iter().all(|c| c.chosen.is_none());
        if found.no_match || nothing {
            let text = reply::nothing_fits(&planned.plan, found.no_match);
            let any = planned.plan.capabilities.iter().any(|c| !c.alternatives.is_empty());
            // A plan that waits stays as it was: the user may come back to it.
            if found.no_match || !any || self.session.waits() {
                return Ok(Outcome::Aside(text));
            }
            // Nothing is chosen unasked, but its user may say: use this one.
            self.session.begin(planned);
            return Ok(Outcome::Say(text));
        }
        self.session.begin(planned);
        Ok(self.settle())
    }

    /// A model proposes where there is one; whatever goes wrong with it, the rules do it alone.
    async fn find(&self, message: &str) -> Result<(Found, BTreeMap<usize, String>), Error> {
        // Small talk costs no call of a model.
        if let Some(model) = self.state.model.as_ref().filter(|_| intent(message) == Intent::Task) {
            match propose::needs(model.as_ref(), message).await {
                Ok(needs) if needs.is_empty() => {
                    return Ok((Found { no_match: true, needs: Vec::new() }, BTreeMap::new()));
                }
                Ok(needs) => {
                    let mut found = self.state.find.needs(&self.caller, &needs, LIMIT).await?;
                    let picks =
                        propose::picks(model.as_ref(), message, &mut found.needs).await.unwrap_or_else(|error| {
                            tracing::warn!(%error, "the language model chose nothing; the rules choose");
                            BTreeMap::new()
                        });
                    return Ok((found, picks));
                }
                Err(error) => tracing::warn!(%error, "the language model proposed nothing; the rules plan"),
            }
        }
        Ok((self.state.find.request(&self.caller, message, LIMIT).await?, BTreeMap::new()))
    }

    pub(super) fn rules(&self) -> Rules {
        let present = self.present.iter().filter_map(|p| Some((p.catalog_name.clone()?, p.name.clone()))).collect();
        let taken = self.present.iter().map(|present| present.name.clone()).collect();
        Rules { present, taken, ..Rules::default() }
    }
}
