/// Why a token or a call was refused. The words tell the bearer what to do and name no tool, server or user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("the token is larger than allowed")]
    TooLarge,
    #[error("the token is not well formed")]
    Malformed,
    #[error("the token is signed with a key that is not known here")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is meant for another place or person")]
    Audience,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token has expired")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
    #[error("this toolbox has had no word from the control plane for too long; only reading is allowed")]
    Stale,
    #[error("the token does not allow this call")]
    NotGranted,
    #[error("the tool has changed since it was granted and waits for a new look")]
    Changed,
    #[error("the token does not allow these arguments")]
    Arguments,
    #[error("the token has been used too often")]
    Exhausted,
}

impl Refusal {
    /// True when the token itself is no good, whatever it is used for: HTTP 401. Else the call is: 403.
    pub fn is_of_token(self) -> bool {
        !matches!(self, Self::Stale | Self::NotGranted | Self::Changed | Self::Arguments | Self::Exhausted)
    }

    /// A stable word for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Stale => "stale",
            Self::NotGranted => "not_granted",
            Self::Changed => "changed",
            Self::Arguments => "arguments",
            Self::Exhausted => "exhausted",
        }
    }
}
