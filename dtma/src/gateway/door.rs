//! Before anything is read: is this a place to be called from, and who calls?

use super::{Gateway, denial::Denial, now};
use axum::http::{HeaderMap, StatusCode, header};
use capability::Checked;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Who is at the other end of a connection.
pub struct Peer {
    /// As the transport saw it.
    pub(super) address: PeerAddress,
    pub(super) shown: Shown,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PeerAddress(pub(super) SocketAddr);

impl Peer {
    pub fn new(address: SocketAddr) -> Self {
        Self { address: PeerAddress(address), shown: Shown::default() }
    }
}

/// What one client's connection showed last. A client shows the same token for minutes; comparing it is cheaper than
/// hashing it again. It holds for the second in which it was verified, and revocations are looked at even within it.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Option<Last>>>);

type Last = (i64, Arc<Checked>);

impl Shown {
    fn again(&self, gateway: &Gateway, token: &str, now: i64) -> Option<Arc<Checked>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, checked) = held.as_ref()?;
        let same = *at == now && checked.is_of(token);
        (same && gateway.verifier.recheck(checked, now).is_ok()).then(|| checked.clone())
    }

    fn keep(&self, now: i64, checked: &Arc<Checked>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, checked.clone()));
    }
}

/// `Host` and `Origin`: against pages that have a browser call a gateway on its own machine or network.
pub(super) fn place(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Denial> {
    let known = |name: &str| {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        is("localhost") || is("127.0.0.1") || is("::1") || gateway.settings.hosts.iter().any(|host| is(host))
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !known(without_port(host)) {
        return Err(Denial::http(
            StatusCode::FORBIDDEN,
            "the Host header names another place",
            "Call the toolbox by an address that it was given.",
        ));
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let fine = origins.all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| !host.contains(['/', '@']) && known(without_port(host)))
    });
    if fine {
        Ok(())
    } else {
        Err(Denial::http(
            StatusCode::FORBIDDEN,
            "requests from this page are not accepted",
            "Call the toolbox from a program, or from a page that it knows.",
        ))
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // `::1` without brackets has colons, but is not a host with a port.
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    }
}

/// The bearer's capability, verified offline.
pub(super) fn caller(gateway: &Gateway, headers: &HeaderMap, shown: Option<&Shown>) -> Result<Arc<Checked>, Denial> {
    let now = now();
    let token = bearer(headers).ok_or_else(|| Denial::token("a capability is needed", "Bearer"))?;
    if let Some(checked) = shown.and_then(|shown| shown.again(gateway, token, now)) {
        return Ok(checked);
    }
    let checked = gateway.verifier.verify(token, now).map_err(|refusal| {
        gateway.metrics.refused(refusal.code());
        Denial::token(detail(refusal), "Bearer error=\"invalid_token\"")
    })?;
    if let Some(shown) = shown {
        shown.keep(now, &checked);
    }
    Ok(checked)
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn detail(refusal: capability::Refusal) -> &'static str {
    use capability::Refusal::{Expired, NotYet, Revoked};
    match refusal {
        Expired => "the capability has expired",
        NotYet => "the capability is not valid yet",
        Revoked => "the capability was revoked",
        // What exactly is wrong with a token that was never good helps only its forger.
        _ => "the capability is not good here",
    }
}
