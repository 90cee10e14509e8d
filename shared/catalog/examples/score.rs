//! Labelled requests through the selector: prints the metrics and writes a run for `score.py`.
//!
//! ```text
//! AGENTOPIA_MODEL_DIR=… cargo run --release -p catalog --example score -- --database URL --queries FILE [--run FILE] [--json] [--index]
//! ```
//!
//! `FILE` has one request a line: `{"id", "query", "tags", "capabilities": [{"need", "acceptable": [names], "preferred": [names]}]}`.
//! `--index` makes missing vectors first.

use catalog::{Selector, indexer};
use database::{Caller, Database, Options};
use protocol::{catalog::SearchReply, ids::UserId};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, env, error::Error, fs, io::Write, time::Instant};

/// As many as `score.py` looks at.
const LIMIT: usize = 50;

#[derive(Deserialize)]
struct Query {
    id: String,
    query: String,
    #[serde(default)]
    tags: Vec<String>,
    capabilities: Vec<Capability>,
}

#[derive(Deserialize)]
struct Capability {
    need: String,
    acceptable: Vec<String>,
    #[serde(default)]
    preferred: Vec<String>,
}

#[derive(Default)]
struct Sums {
    queries: usize,
    recall_5: f64,
    recall_10: f64,
    known: usize,
    known_5: f64,
    repeated: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).cloned();
    let database = Database::direct(&option("--database").ok_or("--database URL is missing")?, &Options::default())?;
    let embedder = models::embedding::from_env()?;
    if arguments.iter().any(|a| a == "--index") {
        let start = Instant::now();
        let made = indexer::index(&database, embedder.as_ref(), |made| {
            eprintln!("{made} vectors, {:.0} a second", made as f64 / start.elapsed().as_secs_f64());
        })
        .await?;
        eprintln!("{made} vectors in {:.1} s", start.elapsed().as_secs_f64());
    }
    let selector = Selector::new(database, embedder);
    selector.warm().await?;
    selector.prepare().await?;
    let text = fs::read_to_string(option("--queries").ok_or("--queries FILE is missing")?)?;
    let queries =
        text.lines().filter(|l| !l.trim().is_empty()).map(serde_json::from_str).collect::<Result<Vec<Query>, _>>()?;
    let mut run = option("--run").map(fs::File::create).transpose()?;
    let misses = arguments.iter().any(|a| a == "--misses");
    let caller = Caller::user(UserId::new());
    let mut all = Sums::default();
    let mut tags: BTreeMap<String, Sums> = BTreeMap::new();
    let (mut kept, mut answered, mut unanswerable) = (0, 0, 0);
    let mut times = Vec::new();
    for query in &queries {
        let start = Instant::now();
        let reply = selector.search(&caller, &query.query, LIMIT).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if let Some(run) = &mut run {
            let results: Vec<_> =
                reply.servers.iter().map(|one| json!({"name": one.name, "score": one.score})).collect();
            let confidence = reply.servers.iter().map(|one| one.confidence).fold(0.0, f32::max);
            writeln!(
                run,
                "{}",
                json!({"id": query.id, "results": results, "confidence": confidence, "latency_ms": times.last()})
            )?;
        }
        if query.capabilities.is_empty() {
            unanswerable += 1;
            answered += usize::from(!reply.no_match);
            if misses && !reply.no_match {
                eprintln!("answered {:.2} {:?}", reply.servers[0].confidence, query.query);
            }
            continue;
        }
        kept += usize::from(!reply.no_match);
        all.add(query, &reply);
        for tag in &query.tags {
            tags.entry(tag.clone()).or_default().add(query, &reply);
        }
        if misses {
            report(query, &reply);
        }
    }
    times.sort_by(f64::total_cmp);
    let at =
        |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).copied();
    let of = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let result = json!({
        "queries": all.queries, "recall@5": all.mean(all.recall_5), "recall@10": all.mean(all.recall_10),
        "well_known@5": all.known_5 / all.known.max(1) as f64, "repeated_in_ten": all.repeated,
        "kept": of(kept, all.queries), "unanswerable": unanswerable, "unanswerable_answered": of(answered, unanswerable),
        "search_ms_p50": at(0.5), "search_ms_p95": at(0.95),
        "recall@5_by_tag": tags.iter().map(|(tag, sums)| (tag.clone(), sums.mean(sums.recall_5))).collect::<BTreeMap<_, _>>(),
    });
    println!("{}", if arguments.iter().any(|a| a == "--json") { result.to_string() } else { format!("{result:#}") });
    Ok(())
}

fn place(reply: &SearchReply, names: &[String]) -> Option<usize> {
    reply.servers.iter().position(|one| names.contains(&one.name)).map(|at| at + 1)
}

fn report(query: &Query, reply: &SearchReply) {
    for capability in &query.capabilities {
        let found = place(reply, &capability.acceptable);
        if found.is_none_or(|place| place > 5) {
            let best: Vec<_> =
                reply.servers.iter().take(5).map(|one| format!("{} {:.2}", one.name, one.confidence)).collect();
            eprintln!("{found:?} {:?} of {:?}: needs {:?}, found {best:?}", capability.need, query.query, reply.needs);
        }
    }
}

impl Sums {
    fn add(&mut self, query: &Query, reply: &SearchReply) {
        let within = |names: &[String], most: usize| f64::from(place(reply, names).is_some_and(|place| place <= most));
        let count = query.capabilities.len() as f64;
        self.queries += 1;
        self.recall_5 += query.capabilities.iter().map(|one| within(&one.acceptable, 5)).sum::<f64>() / count;
        self.recall_10 += query.capabilities.iter().map(|one| within(&one.acceptable, 10)).sum::<f64>() / count;
        let known: Vec<_> = query.capabilities.iter().filter(|one| !one.preferred.is_empty()).collect();
        if !known.is_empty() {
            self.known += 1;
            self.known_5 += known.iter().map(|one| within(&one.preferred, 5)).sum::<f64>() / known.len() as f64;
        }
        let mut descriptions: Vec<String> =
            reply.servers.iter().take(10).map(|one| domain::text::words(&one.description).join(" ")).collect();
        let before = descriptions.len();
        descriptions.sort_unstable();
        descriptions.dedup();
        self.repeated += before - descriptions.len();
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / self.queries.max(1) as f64
    }
}
