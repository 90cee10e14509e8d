use reqwest::StatusCode;

/// Why a request has no answer. Nothing of the URL or of what the server wrote is in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody is there at all.
    #[error("the server's address does not answer ({0})")]
    Away(String),
    #[error("the way to the server failed ({0})")]
    Broke(String),
    #[error("the server wants other credentials ({0})")]
    Credentials(StatusCode),
    #[error("the server's address answers {0}")]
    Status(StatusCode),
    #[error("the server's address gives no answer that is a message")]
    NoAnswer,
    #[error("the server's answer broke off")]
    Broken,
    #[error("the server's answers are too long, or no text")]
    Spoilt,
    #[error("the server has ended the session")]
    Lost,
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let away = error.is_connect();
        let mut root: &dyn std::error::Error = &error;
        while let Some(cause) = root.source() {
            root = cause;
        }
        if away { Self::Away(root.to_string()) } else { Self::Broke(root.to_string()) }
    }
}
