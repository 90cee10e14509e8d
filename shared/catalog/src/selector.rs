//! From a sentence to servers, without a language model.

use crate::{Error, phrases::Phrases, tasks::Tasks, unfit::Unfit};
use database::{
    Caller, Database,
    catalog::{Wanted, vector},
};
use domain::{
    intent::{Intent, intent},
    needs::{self, Need, Term},
    rank::{self, ANSWERED, Entry, Ranked},
};
use futures::future::try_join_all;
use models::embedding::Embedder;
use protocol::catalog::{Found, SearchReply, ServerJson};
use std::{collections::HashSet, sync::Arc};

/// Entries that words and vectors may each find for a need before they are ranked; more when more are asked for. Measured: 20
/// find as many of the labelled ones as 50 do.
const DEPTH: usize = 32;
/// How much the catalog's own words count beside the request's, in the vector that is searched.
const EXPANDED: f32 = 0.5;
const EXPANDED_WITH_PRODUCT: f32 = 0.6;
/// Characters of a need that its vector is made from.
const LONGEST_QUERY: usize = 1_000;

/// Finds servers. Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Selector {
    database: Database,
    embedder: Arc<dyn Embedder>,
    unfit: Arc<Unfit>,
    phrases: Arc<Phrases>,
    tasks: Arc<Tasks>,
}

/// What a request needs, and who could do it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The request asks for nothing that a server in the catalog does.
    pub no_match: bool,
    /// What kind of text it is; anything but a task was not searched.
    pub intent: Intent,
    pub needs: Vec<NeedResult>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NeedResult {
    /// In the words of the request.
    pub need: String,
    /// Best first; empty when nothing fits.
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub server: ServerJson,
    /// Comparable within one need only.
    pub score: f32,
    /// The chance that it does what the need asks, 0 to 1.
    pub confidence: f32,
    pub why: String,
    /// 0 to 1: how well known it is.
    pub known: f32,
}

impl Selector {
    pub fn new(database: Database, embedder: Arc<dyn Embedder>) -> Self {
        Self { database, embedder, unfit: Arc::default(), phrases: Arc::default(), tasks: Arc::default() }
    }

    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.embedder
    }

    /// Loads what the first request would wait for.
    pub async fn warm(&self) -> Result<(), Error> {
        let vectors = self.embedder.embed(&["warm"]).await?;
        self.unfit.nearness(self.embedder.as_ref(), &vectors[0]).await?;
        Ok(())
    }

    /// Makes the vectors of all the catalog's own words, and of what people say for tasks, little by little: some seconds of a
    /// processor. Until they are there, a task is known by the words that say it only.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.phrases.prepare(self.embedder.as_ref()).await?;
        Ok(self.tasks.prepare(self.embedder.as_ref(), &self.phrases).await?)
    }

    /// The servers for a request, `limit` for each of its needs.
    pub async fn select(&self, caller: &Caller, request: &str, limit: usize) -> Result<Selection, Error> {
        match intent(request) {
            Intent::Task => self.complete(caller, Intent::Task, needs::split(request), limit).await,
            intent => Ok(Selection { no_match: true, intent, needs: Vec::new() }),
        }
    }

    /// The same for needs that somebody else has split off.
    pub async fn select_needs(&self, caller: &Caller, needs: &[String], limit: usize) -> Result<Selection, Error> {
        let needs = needs.iter().take(needs::MOST).map(|need| Need::new(need)).collect();
        self.complete(caller, Intent::Task, needs, limit).await
    }

    /// The selection as `GET /api/catalog/search` answers it: merged, each server and each description once.
    pub async fn search(&self, caller: &Caller, request: &str, limit: usize) -> Result<SearchReply, Error> {
        if intent(request) != Intent::Task {
            return Ok(SearchReply { servers: Vec::new(), needs: Vec::new(), no_match: true });
        }
        let mut needs = needs::split(request);
        // A server that several needs find counts once, so each may have to give its turn to its next.
        let most = limit * needs.len();
        let ranked = self.ranked(caller, &mut needs, limit, most).await?;
        let names: Vec<String> = needs.into_iter().map(|need| need.text).collect();
        let servers = merge(&names, ranked, limit);
        Ok(SearchReply { no_match: servers.is_empty(), servers, needs: names })
    }

    async fn complete(
        &self,
        caller: &Caller,
        intent: Intent,
        mut needs: Vec<Need>,
        limit: usize,
    ) -> Result<Selection, Error> {
        let ranked = self.ranked(caller, &mut needs, limit, limit).await?;
        let names: Vec<&str> = ranked.iter().flatten().map(|one| one.entry.name.as_str()).collect();
        let servers =
            if names.is_empty() { Vec::new() } else { self.database.catalog_server_list(caller, &names).await? };
        let results: Vec<NeedResult> = needs
            .into_iter()
            .zip(ranked)
            .map(|(need, ranked)| NeedResult {
                need: need.text,
                candidates: ranked
                    .into_iter()
                    .filter_map(|one| {
                        // An import may have removed it a moment ago.
                        let server = servers.iter().find(|server| server.name == one.entry.name)?.clone();
                        Some(Candidate {
                            server,
                            score: one.score,
                            confidence: one.confidence,
                            why: one.why,
                            known: one.entry.known,
                        })
                    })
                    .collect(),
            })
            .collect();
        Ok(Selection { no_match: results.iter().all(|need| need.candidates.is_empty()), intent, needs: results })
    }

    /// For each need the `most` entries that fit best, best first; none where the best is not likely enough. `limit` of them are
    /// hoped for.
    async fn ranked(
        &self,
        caller: &Caller,
        needs: &mut [Need],
        limit: usize,
        most: usize,
    ) -> Result<Vec<Vec<Ranked>>, Error> {
        if needs.is_empty() {
            return Ok(Vec::new());
        }
        let missing = self.phrases.missing(needs.iter().flat_map(|need| &need.expansion).copied());
        let own: Vec<&str> = needs.iter().map(|need| cut(&need.query)).collect();
        let texts: Vec<&str> =
            own.iter().copied().filter(|text| !text.is_empty()).chain(missing.iter().copied()).collect();
        let mut vectors = self.embedder.embed(&texts).await?;
        let made = vectors.split_off(texts.len() - missing.len());
        self.phrases.keep(missing.into_iter().zip(made));
        let mut vectors = vectors.into_iter();
        let own: Vec<Option<Vec<f32>>> =
            own.iter().map(|text| if text.is_empty() { None } else { vectors.next() }).collect();
        let mut wanted: Vec<Wanted<Term>> = Vec::with_capacity(needs.len());
        let mut unfit = Vec::with_capacity(needs.len());
        for (need, own) in needs.iter_mut().zip(own) {
            if let Some(nearness) = own.as_ref().and_then(|own| self.tasks.nearness(own)) {
                need.understand(&nearness);
            }
            let expanded = self.phrases.mean(&need.expansion);
            unfit.push(match &own {
                Some(own) => self.unfit.nearness(self.embedder.as_ref(), own).await?,
                None => 1.0,
            });
            let mixed = match (&own, &expanded) {
                (Some(own), Some(expanded)) => {
                    Some(mix(own, expanded, if need.products.is_empty() { EXPANDED } else { EXPANDED_WITH_PRODUCT }))
                }
                (one, other) => one.clone().or_else(|| other.clone()),
            };
            wanted.push(Wanted {
                terms: need.terms(),
                vector: mixed.as_deref().map(vector),
                raw: own.as_deref().map(vector),
            });
        }
        let depth = DEPTH.max(limit);
        // Beside each other: the database takes longer for each than the way there and back, and what came first is ranked
        // while the others are looked for.
        let ranked = needs.iter().zip(&wanted).zip(unfit).map(async |((need, wanted), unfit)| {
            let some = std::slice::from_ref(wanted);
            let found: Vec<Vec<Entry>> =
                self.database.catalog_search(caller, self.embedder.name(), some, depth).await?;
            let ranked = rank::rank(need, found.into_iter().flatten().collect(), unfit, most);
            let answered = ranked.first().is_some_and(|best| best.confidence >= ANSWERED);
            Ok(if answered { ranked } else { Vec::new() })
        });
        try_join_all(ranked).await
    }
}

/// Takes turns between the needs; each server once, each description once.
fn merge(needs: &[String], ranked: Vec<Vec<Ranked>>, limit: usize) -> Vec<Found> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut queues: Vec<_> = ranked.into_iter().map(Vec::into_iter).collect();
    let mut servers = Vec::new();
    loop {
        let before = servers.len();
        for (need, queue) in needs.iter().zip(&mut queues) {
            if servers.len() == limit {
                return servers;
            }
            let next = queue.find(|one| {
                let texts =
                    one.entry.descriptions().map(|text| format!("text {}", domain::text::words(text).join(" ")));
                let keys: Vec<String> = texts.chain([one.entry.name.clone()]).collect();
                let new = !keys.iter().any(|key| seen.contains(key));
                seen.extend(keys.into_iter().filter(|_| new));
                new
            });
            servers.extend(next.map(|one| Found {
                name: one.entry.name,
                title: one.entry.title,
                description: one.entry.description,
                score: one.score,
                confidence: one.confidence,
                why: one.why,
                need: need.clone(),
            }));
        }
        if servers.len() == before {
            return servers;
        }
    }
}

fn mix(own: &[f32], expanded: &[f32], share: f32) -> Vec<f32> {
    own.iter().zip(expanded).map(|(own, expanded)| (1.0 - share) * own + share * expanded).collect()
}

/// A text that is long says nothing more about what it needs.
fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST_QUERY) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
