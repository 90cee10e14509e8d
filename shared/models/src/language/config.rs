use super::Error;
use reqwest::Url;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    OpenAi,
    Anthropic,
}

/// Where a model is. The key is not printable.
#[derive(Clone)]
pub struct Config {
    /// Base address that ends in a slash, the version's segment included.
    pub(super) url: Url,
    pub(super) key: Zeroizing<String>,
    pub(super) model: String,
    pub(super) wire: Wire,
    /// The wire format was guessed: the other one is tried when the endpoint knows nothing at this one's path.
    pub(super) guessed: bool,
}

const ANTHROPIC: &str = "https://api.anthropic.com/v1/";
const OPENAI: &str = "https://api.openai.com/v1/";
const ANTHROPIC_MODEL: &str = "claude-sonnet-4-5";
const OPENAI_MODEL: &str = "gpt-5-mini";

impl Config {
    /// `Ok(None)` when nothing is configured.
    pub fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let read = |name: &str| read(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let (anthropic, openai) = (read("ANTHROPIC_API_KEY"), read("OPENAI_API_KEY"));
        let model = read("AGENTOPIA_MODEL");
        let explicit = match read("AGENTOPIA_MODEL_WIRE").as_deref() {
            None => None,
            Some("openai") => Some(Wire::OpenAi),
            Some("anthropic") => Some(Wire::Anthropic),
            Some(other) => {
                return Err(Error::Configuration(format!(
                    "AGENTOPIA_MODEL_WIRE is {other}; it is openai or anthropic"
                )));
            }
        };
        let own = read("AGENTOPIA_MODEL_KEY");
        let url = read("AGENTOPIA_MODEL_URL");
        let Some(url) = url else {
            // A company's own endpoint. The general key serves too when the wire format is said.
            let (wire, key) = match (explicit, own, anthropic, openai) {
                (Some(Wire::Anthropic), Some(key), _, _) | (Some(Wire::Anthropic) | None, _, Some(key), _) => {
                    (Wire::Anthropic, key)
                }
                (Some(Wire::OpenAi), Some(key), _, _) | (Some(Wire::OpenAi) | None, _, _, Some(key)) => {
                    (Wire::OpenAi, key)
                }
                _ => return Ok(None),
            };
            let (url, default) = match wire {
                Wire::Anthropic => (ANTHROPIC, ANTHROPIC_MODEL),
                Wire::OpenAi => (OPENAI, OPENAI_MODEL),
            };
            let model = model.unwrap_or_else(|| default.to_owned());
            return Self::new(url, key, model, wire).map(Some);
        };
        let Some(model) = model else {
            return Err(Error::Configuration("AGENTOPIA_MODEL_URL is set and AGENTOPIA_MODEL is not".to_owned()));
        };
        let likely = if url.to_ascii_lowercase().contains("anthropic")
            || (own.is_none() && openai.is_none() && anthropic.is_some())
        {
            Wire::Anthropic
        } else {
            Wire::OpenAi
        };
        let wire = explicit.unwrap_or(likely);
        let company = if wire == Wire::Anthropic { anthropic } else { openai };
        let mut config = Self::new(&url, own.or(company).unwrap_or_default(), model, wire)?;
        config.guessed = explicit.is_none();
        Ok(Some(config))
    }

    /// `url` with or without a version's segment.
    pub fn new(url: &str, key: String, model: String, wire: Wire) -> Result<Self, Error> {
        let url =
            base(url).ok_or_else(|| Error::Configuration("AGENTOPIA_MODEL_URL is not a web address".to_owned()))?;
        Ok(Self { url, key: Zeroizing::new(key), model, wire, guessed: false })
    }
}

/// `http://h` and `http://h/v1` are both `http://h/v1/`.
fn base(url: &str) -> Option<Url> {
    let mut url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    let mut path = url.path().trim_end_matches('/').to_owned();
    // People paste the whole address of the call.
    for call in ["/chat/completions", "/messages"] {
        if let Some(shorter) = path.strip_suffix(call) {
            path = shorter.to_owned();
        }
    }
    let is_version =
        |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if !path.split('/').any(is_version) {
        path.push_str("/v1");
    }
    url.set_path(&format!("{path}/"));
    Some(url)
}
