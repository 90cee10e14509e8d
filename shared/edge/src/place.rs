//! Which host a request may name, and which pages may send one that changes something: for a program that browsers on the same
//! machine reach without any name. A page anywhere can have its own name lead there (DNS rebinding), and the browser then takes
//! what the page asks for a request to the page's own server.

#[cfg(test)]
mod tests;

use crate::{Context, Error};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, Method, Uri, header,
    uri::{Authority, Scheme},
};
use std::net::IpAddr;

/// Where the program is: at one address that was configured, and by every name of the loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: u16,
}

impl Place {
    /// `url` is the program's own address; none when that has no host.
    pub fn new(url: &str) -> Option<Self> {
        let url = reqwest::Url::parse(url).ok()?;
        Some(Self { host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
    }

    fn is_host(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host.eq_ignore_ascii_case(&self.host)
            || host.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Exactly one `Host`, and the target's own when it has one (RFC 9112, section 3.2.2).
    fn is_named(&self, headers: &HeaderMap, target: &Uri) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host = host.to_str().ok().and_then(authority);
        host.is_some_and(|host| self.is_host(host.host()))
            && target.authority().is_none_or(|target| self.is_host(target.host()))
    }

    /// A page of the program itself.
    fn is_origin(&self, origin: &str) -> bool {
        let Ok(origin) = origin.parse::<Uri>() else { return false };
        let port = match origin.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => 80,
            Some(scheme) if *scheme == Scheme::HTTPS => 443,
            _ => return false,
        };
        let Some(authority) = origin.authority().and_then(|found| authority(found.as_str())) else { return false };
        self.is_host(authority.host()) && authority.port_u16().unwrap_or(port) == self.port
    }

    fn check(&self, method: &Method, target: &Uri, headers: &HeaderMap, origins: &[String]) -> Result<(), Error> {
        if !self.is_named(headers, target) {
            return Err(Error::forbidden(
                "The Host header names another place.",
                format!("Call http://{}:{} or the loopback by its own name.", self.host, self.port),
            ));
        }
        let foreign = |origin: &http::HeaderValue| {
            !origin.to_str().is_ok_and(|origin| self.is_origin(origin) || origins.iter().any(|known| known == origin))
        };
        if !method.is_safe() && headers.get_all(header::ORIGIN).iter().any(foreign) {
            return Err(Error::forbidden(
                "Requests from this page are not accepted.",
                "Use the program's own page, or call from a program.",
            ));
        }
        Ok(())
    }
}

/// A host and perhaps a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    (authority.host() == text || authority.port_u16().is_some() && !text.contains('@')).then_some(authority)
}

/// Nothing to check where the context names no place: behind a function URL every name leads to one function.
pub(crate) async fn guard(State(context): State<Context>, request: Request, next: Next) -> Response {
    if let Some(place) = &context.place
        && let Err(error) = place.check(request.method(), request.uri(), request.headers(), &context.origins)
    {
        return error.into_response();
    }
    next.run(request).await
}
