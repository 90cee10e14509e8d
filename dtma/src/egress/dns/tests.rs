use super::*;
use crate::{
    docker::Subnet,
    egress::{
        Rules, World,
        refusal::{Refusal, Why},
    },
};
use protocol::ids::ServerId;
use simple_dns::{Name, Question};

type Told = Arc<Mutex<Vec<Refusal>>>;

fn way(hosts: &[&str]) -> (Way, Told) {
    let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
    let told = Told::default();
    let sink = told.clone();
    let subnet = Subnet::of([198, 18, 0, 1].into()).unwrap();
    let rules = Rules::of(&hosts).unwrap().unwrap();
    let sink = Arc::new(move |refusal| sink.lock().unwrap().push(refusal));
    (Way::new(ServerId::new(), subnet, rules, World::default(), sink), told)
}

fn question(name: &str, kind: QTYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(7);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new_unchecked(name), kind, CLASS::IN.into(), false));
    packet.build_bytes_vec().unwrap()
}

/// The code, and the addresses.
fn ask(way: &Way, name: &str, kind: TYPE) -> (RCODE, Vec<Ipv4Addr>) {
    let bytes = answer(&question(name, kind.into()), way).unwrap();
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.id(), 7);
    assert!(reply.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_DESIRED));
    // Resolvers that mix upper and lower case against forgery compare it.
    assert_eq!(reply.questions[0].qname.to_string(), name);
    let address = |record: &ResourceRecord| match &record.rdata {
        RData::A(a) => a.address.into(),
        other => panic!("{other:?}"),
    };
    (reply.rcode(), reply.answers.iter().map(address).collect())
}

#[test]
fn allowed_names_have_an_address_of_the_upper_half_and_others_do_not_exist() {
    let (way, told) = way(&["api.example.com", "*.cdn.example.com:8443"]);
    let (code, addresses) = ask(&way, "API.example.com", TYPE::A);
    assert_eq!((code, addresses.len()), (RCODE::NoError, 1));
    assert_eq!(u32::from(addresses[0]) & 0xffff_fe00, u32::from(Ipv4Addr::new(198, 18, 2, 0)));
    assert_eq!(ask(&way, "api.example.com", TYPE::A).1, addresses);
    assert_ne!(ask(&way, "a.cdn.example.com", TYPE::A).1, addresses);
    assert_eq!(ask(&way, "api.example.com", TYPE::AAAA), (RCODE::NoError, vec![]));
    assert_eq!(ask(&way, "api.example.com", TYPE::HTTPS), (RCODE::NoError, vec![]));
    assert!(told.lock().unwrap().is_empty());
    for other in ["example.com", "evil.example", "localhost", "1.0.0.127.in-addr.arpa"] {
        assert_eq!(ask(&way, other, TYPE::A), (RCODE::NameError, vec![]), "{other}");
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 4);
    assert_eq!((told[1].host.as_str(), told[1].port, told[1].why), ("evil.example", None, Why::Name));
}

#[test]
fn names_without_end_do_not_take_memory_without_end() {
    let (way, _) = way(&["*"]);
    let codes: Vec<_> = (0..600).map(|n| ask(&way, &format!("n{n}.example"), TYPE::A).0).collect();
    assert!(codes[..511].iter().all(|code| *code == RCODE::NoError));
    assert!(codes[511..].iter().all(|code| *code == RCODE::ServerFailure));
}

#[test]
fn what_is_no_question_has_no_answer_or_a_refusal() {
    let (way, _) = way(&["*"]);
    let good = question("a.example", TYPE::A.into());
    assert!(answer(&good, &way).is_some());
    for length in 0..good.len() {
        // The head alone promises a question that is not there.
        let cut = answer(&good[..length], &way);
        assert!(cut.is_none_or(|bytes| Packet::parse(&bytes).unwrap().rcode() == RCODE::NotImplemented), "{length}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        answer(&bytes, &way)
    };
    // An answer; two questions; sixty thousand records.
    assert_eq!((with(2, 0x80), with(5, 2), with(6, 0xff)), (None, None, None));
    // Another kind of request, another class, a kind of record that nobody knows.
    for (at, byte, code) in
        [(2, 0x10, RCODE::Refused), (good.len() - 1, 3, RCODE::Refused), (good.len() - 4, 0xee, RCODE::NotImplemented)]
    {
        assert_eq!(Packet::parse(&with(at, byte).unwrap()).unwrap().rcode(), code, "{at}");
    }
}

#[test]
fn questions_come_no_faster_than_allowed() {
    let now = Instant::now();
    let pace = Pace::new(now);
    assert_eq!((0..1000).filter(|_| pace.take(now)).count(), BURST as usize);
    assert_eq!((0..1000).filter(|_| pace.take(now + Duration::from_secs(1))).count(), RATE as usize);
}
