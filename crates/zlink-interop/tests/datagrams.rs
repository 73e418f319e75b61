//! RADIO, DISH and DGRAM of either library over UDP, and what either refuses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zlink::SocketType::{self, Dgram, Dish, Radio};
use zlink_interop::{GUARD, Label, Library, Node};

/// Time in which a datagram that is there arrives in nearly every case. Missing it costs a repetition.
const SOON: Duration = Duration::from_millis(5);

/// An address that nobody else binds: libzmq does not tell what port the system has chosen.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}.{}:5999", 1 + process / 250 % 250, 1 + process % 250, 1 + number % 250)
}

fn of_group(group: &[u8]) -> Label {
    Label { routing_id: 0, group: group.to_vec() }
}

/// Sends until something arrives, since libzmq binds in the background, and takes all of it.
#[track_caller]
fn until_heard(from: &mut Node, to: &mut Node, mut send: impl FnMut(&mut Node, &[u8])) {
    let limit = Instant::now() + GUARD;
    loop {
        send(from, b"heard?");
        if to.recv_within(SOON).is_some() {
            break;
        }
        assert!(Instant::now() < limit, "{from} to {to}: nothing arrives");
    }
    send(from, b"heard.");
    while to.recv().last().is_none_or(|body| body != b"heard.") {}
}

fn exchange_groups(library: Library, endpoint: &str, bind: &str, ipv6: bool) {
    let (mut radio, mut dish) = (Node::new(library, Radio), Node::new(library.other(), Dish));
    for node in [&mut radio, &mut dish] {
        node.set_int(zlink_interop::option::IPV6, i32::from(ipv6));
    }
    // libzmq takes a longer name's length for a negative one.
    let longest = [b'g'; 127];
    dish.join(b"TV");
    dish.join(&longest);
    dish.join(b"");
    dish.bind(bind);
    radio.connect(endpoint);
    until_heard(&mut radio, &mut dish, |radio, body| radio.send_labelled(&of_group(b"TV"), body));
    // libzmq has no room for more than 8192 bytes in all.
    let large = vec![b'x'; 8192 - 1 - longest.len()];
    for (group, body) in [
        (&b"Movies"[..], &b"no"[..]),
        (b"TV", b"Friends"),
        (b"T", b"no"),
        (&longest, &large),
        (b"", b""),
        (b"TV", b"end"),
    ] {
        radio.send_labelled(&of_group(group), body);
    }
    for (group, body) in [(&b"TV"[..], &b"Friends"[..]), (&longest, &large), (b"", b""), (b"TV", b"end")] {
        assert_eq!(dish.recv_labelled(), (of_group(group), body.to_vec()), "{radio} to {dish}");
    }
}

#[test]
fn a_dish_hears_a_radio_of_the_other_library() {
    for library in Library::BOTH {
        let address = address();
        exchange_groups(library, &format!("udp://{address}"), &format!("udp://{address}"), false);
    }
}

#[test]
fn so_it_does_over_ipv6() {
    for (library, port) in Library::BOTH.into_iter().zip([47_311, 47_312]) {
        exchange_groups(library, &format!("udp://[::1]:{port}"), &format!("udp://[::1]:{port}"), true);
    }
}

#[test]
fn so_it_does_in_a_multicast_group() {
    for (library, port) in Library::BOTH.into_iter().zip([47_321, 47_322]) {
        let endpoint = format!("udp://127.0.0.1;239.192.7.3:{port}");
        exchange_groups(library, &endpoint, &endpoint, false);
    }
}

#[test]
fn dgrams_of_both_libraries_answer_each_other() {
    for library in Library::BOTH {
        let (mut asking, mut answering) = (Node::new(library, Dgram), Node::new(library.other(), Dgram));
        let (own, theirs) = (address(), address());
        asking.bind(&format!("udp://{own}"));
        answering.bind(&format!("udp://{theirs}"));
        until_heard(&mut asking, &mut answering, |asking, body| asking.send(&[theirs.as_bytes(), body]));
        asking.send(&[theirs.as_bytes(), b"question"]);
        let question = answering.recv();
        assert_eq!(question, [format!("{own}\0").as_bytes(), b"question"], "{asking} to {answering}");
        answering.send(&[&question[0], &b"answer"[..]]);
        assert_eq!(asking.recv(), [format!("{theirs}\0").as_bytes(), b"answer"], "{answering} to {asking}");
    }
}

#[test]
fn both_libraries_refuse_the_same_types_and_endpoints() {
    let endpoints = [
        "udp://127.0.0.1:5999",
        "udp://*:5999",
        "udp://127.0.0.1",
        "udp://no-such-if0:5999",
        "udp://lo;127.0.0.1:5999",
        "udp://no-such-if0;239.0.0.1:5999",
        "udp://239.0.0.2;239.0.0.1:5999",
        "udp://[::1]:5999",
    ];
    for socket_type in SocketType::ALL.into_iter().filter(|it| *it != SocketType::Stream) {
        for endpoint in endpoints {
            let errors = |library, bind| Node::new(library, socket_type).refusal(endpoint, bind);
            for bind in [false, true] {
                assert_eq!(
                    errors(Library::Zlink, bind),
                    errors(Library::Libzmq, bind),
                    "{} at {endpoint}, bind: {bind}",
                    socket_type.as_str()
                );
            }
        }
    }
}
