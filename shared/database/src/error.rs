//! What can come of a call, the same through both doors.

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// `message` says what is wrong, `fix` what the caller can do; both may be shown to the caller. A cause may not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{message}")]
    NotFound { message: String, fix: String },
    #[error("{message}")]
    Forbidden { message: String, fix: String },
    #[error("{message}")]
    Conflict { message: String, fix: String },
    #[error("{message}")]
    Invalid { message: String, fix: String },
    #[error("{message}")]
    TooMany { message: String, fix: String },
    /// Trying again later may help.
    #[error("the database cannot be reached or is too busy")]
    Unavailable(#[source] Cause),
    /// A fault of ours.
    #[error("the database answered something unexpected")]
    Unexpected(#[source] Cause),
}

impl Error {
    pub(crate) fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub(crate) fn unexpected(cause: impl Into<Cause>) -> Self {
        Self::Unexpected(cause.into())
    }

    /// What a SQLSTATE that the database raised means.
    pub(crate) fn from_state(state: &str, message: &str, hint: Option<&str>, cause: Cause) -> Self {
        let message = || message.to_owned();
        let fix = || hint.unwrap_or_default().to_owned();
        match state {
            "PT400" | "PT422" => Self::Invalid { message: message(), fix: fix() },
            "PT403" => Self::Forbidden { message: message(), fix: fix() },
            "PT404" => Self::NotFound { message: message(), fix: fix() },
            "PT409" => Self::Conflict { message: message(), fix: fix() },
            "PT429" => Self::TooMany { message: message(), fix: fix() },
            // insufficient_privilege: Postgres names the function or table, which is nobody's business.
            "42501" => Self::Forbidden {
                message: "this caller may not do that".into(),
                fix: "Use an account or a token that is meant for it.".into(),
            },
            // untranslatable_character, character_not_in_repertoire: a NUL, which Postgres keeps in no text.
            "22P05" | "22021" => Self::Invalid {
                message: "the text holds a character that cannot be kept".into(),
                fix: "Remove the NUL characters from it.".into(),
            },
            // unique_violation: two calls raced and the other one won.
            "23505" => Self::Conflict {
                message: "something like it is there already".into(),
                fix: "Look at what is there, or choose another name.".into(),
            },
            // serialization_failure, deadlock, lock and statement time-outs, shutdowns, resources, broken connections.
            "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" => Self::Unavailable(cause),
            _ if state.starts_with("08") || state.starts_with("53") || state.starts_with("58") => {
                Self::Unavailable(cause)
            }
            _ => Self::Unexpected(cause),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(raised) = error.as_db_error() else {
            // Without an answer of the server it is the connection that failed.
            return Self::unavailable(error);
        };
        let (state, message, hint) =
            (raised.code().code().to_owned(), raised.message().to_owned(), raised.hint().map(str::to_owned));
        Self::from_state(&state, &message, hint.as_deref(), error.into())
    }
}
