//! Names for one server's network: an address that stands for each allowed name, and "no such name" for all others. Nothing
//! is asked of anybody here; the name is resolved when a connection is made.

use super::way::Way;
use simple_dns::{
    CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, RCODE, ResourceRecord, TYPE,
    rdata::{A, RData},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

/// How long an answer may be kept, seconds.
const TTL: u32 = 30;
/// A question with its options is far below it.
const QUESTION: usize = 1232;
/// Questions a second, and at once. What is above is not answered; resolvers ask again.
const RATE: f64 = 100.0;
const BURST: f64 = 200.0;
const IDLE: Duration = Duration::from_secs(5);

/// Over UDP, until it is dropped.
pub(super) async fn datagrams(socket: UdpSocket, way: Arc<Way>, pace: Arc<Pace>) {
    let mut bytes = [0; QUESTION];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut bytes).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let ours = matches!(from.ip(), IpAddr::V4(from) if way.subnet.is_container(from));
        if !ours || !pace.take(Instant::now()) {
            continue;
        }
        if let Some(answer) = answer(&bytes[..length], &way)
            && let Err(error) = socket.send_to(&answer, from).await
        {
            tracing::debug!(%error, "an answer could not be sent");
        }
    }
}

/// Over TCP, as RFC 1035 section 4.2.2: each message after its length.
pub(super) async fn stream(mut client: TcpStream, way: Arc<Way>, pace: Arc<Pace>) -> io::Result<()> {
    loop {
        let length = usize::from(timeout(IDLE, client.read_u16()).await??);
        if length > QUESTION || !pace.take(Instant::now()) {
            return Ok(());
        }
        let mut bytes = vec![0; length];
        timeout(IDLE, client.read_exact(&mut bytes)).await??;
        let Some(answer) = answer(&bytes, &way) else { return Ok(()) };
        let mut message = u16::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
        message.extend(answer);
        timeout(IDLE, client.write_all(&message)).await??;
    }
}

/// The streams of one server's resolver.
pub(super) async fn streams(listener: TcpListener, way: Arc<Way>, pace: Arc<Pace>) {
    super::gate::accept(listener, way, move |client, way| stream(client, way, pace.clone())).await;
}

/// `None` for what is no question: an answer to an answer could go on for ever.
fn answer(bytes: &[u8], way: &Way) -> Option<Vec<u8>> {
    // Counted before it is parsed, because memory is reserved by these numbers: one question, no records but the options.
    let count = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if (count(4)?, count(6)?, count(8)?) != (1, 0, 0) || count(10)? > 1 {
        return None;
    }
    if bytes[2] & 0x80 != 0 {
        return None;
    }
    let Ok(asked) = Packet::parse(bytes) else {
        // Also for kinds of records that nobody knows.
        let mut reply = Packet::new_reply(u16::from_be_bytes([bytes[0], bytes[1]]));
        *reply.rcode_mut() = RCODE::NotImplemented;
        return reply.build_bytes_vec_compressed().ok();
    };
    let (opcode, recursion) = (asked.opcode(), asked.has_flags(PacketFlag::RECURSION_DESIRED));
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if recursion {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.opcode_mut() = opcode;
    let question = asked.questions.into_iter().next()?;
    let internet = matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY);
    if opcode != OPCODE::StandardQuery || !internet {
        *reply.rcode_mut() = RCODE::Refused;
    } else {
        let name = question.qname.to_string().to_ascii_lowercase();
        match find(&name, question.qtype, way) {
            Ok(Some(address)) => {
                let data = RData::A(A { address: address.into() });
                reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL, data));
            }
            Ok(None) => {}
            Err(code) => *reply.rcode_mut() = code,
        }
    }
    reply.questions.push(question);
    reply.build_bytes_vec_compressed().ok()
}

/// `None` for a name that is there and has nothing of the kind.
fn find(name: &str, kind: QTYPE, way: &Way) -> Result<Option<Ipv4Addr>, RCODE> {
    if !way.knows(name) {
        return Err(RCODE::NameError);
    }
    match kind {
        QTYPE::TYPE(TYPE::A) | QTYPE::ANY => way.give(name).map(Some).ok_or(RCODE::ServerFailure),
        _ => Ok(None),
    }
}

/// How fast questions may come.
pub(super) struct Pace(Mutex<(f64, Instant)>);

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new((BURST, now)))
    }

    fn take(&self, now: Instant) -> bool {
        let mut pace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *pace;
        let left = (left + now.saturating_duration_since(at).as_secs_f64() * RATE).min(BURST);
        let enough = left >= 1.0;
        *pace = (if enough { left - 1.0 } else { left }, now);
        enough
    }
}

#[cfg(test)]
mod tests;
