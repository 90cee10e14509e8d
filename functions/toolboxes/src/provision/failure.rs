//! What can come of asking DigitalOcean, and what its user is told of it.

use edge::Error;

#[derive(Debug)]
pub(super) enum Failure {
    /// The token was not accepted.
    Token,
    /// The token was accepted, and may not do this.
    Rights(String),
    /// In DigitalOcean's own words.
    Refused(String),
    /// Seconds to wait.
    Busy(u32),
    /// The request was never sent.
    Unreachable(reqwest::Error),
    /// It was sent, and nobody knows what became of it.
    Silent(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// Whether it is certain that nothing was done.
    pub(super) fn certain(&self) -> bool {
        !matches!(self, Self::Silent(_))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            // Not a 401, which would say that the caller is not signed in here.
            Failure::Token => Self::invalid(
                "DigitalOcean does not accept the token in the vault.",
                "Make a new one at DigitalOcean and store it under the same server and key.",
            ),
            Failure::Rights(why) => Self::invalid(
                format!("DigitalOcean does not let the token in the vault do this: {why}"),
                "Give the token the scopes droplet:create, droplet:read, droplet:delete, image:read, tag:create and tag:read.",
            ),
            Failure::Refused(why) => Self::invalid(
                format!("DigitalOcean refused: {why}"),
                "Change the region or the size, or mend the account at DigitalOcean, and try again.",
            ),
            Failure::Busy(seconds) => Self::too_many(
                "DigitalOcean takes no more requests of this account for now.",
                "Send the same request again after the time in Retry-After.",
                seconds,
            ),
            Failure::Unreachable(cause) => {
                Self::unavailable("DigitalOcean cannot be reached.", "Send the same request again.").with_source(cause)
            }
            Failure::Silent(cause) => Self::unavailable(
                "DigitalOcean did not say what became of the request.",
                "Send the same request again in two minutes: it looks for the machine before it asks for one.",
            )
            .with_source(cause),
        }
    }
}
