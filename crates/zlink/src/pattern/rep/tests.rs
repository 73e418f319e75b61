use proptest::prelude::*;

use super::*;
use crate::pattern::testing::{Peer, Rig, blocked, wrong_state};

fn rig() -> Rig {
    Rig::new(Box::new(Rep::default()))
}

#[test]
fn the_reply_goes_back_in_the_envelope_of_the_request() {
    let mut rig = rig();
    let (mut near, mut far) = (rig.attach(""), rig.attach(""));
    let long = "x".repeat(300);
    for (peer, envelope) in [(&mut near, &[""][..]), (&mut far, &["client", &long, ""])] {
        peer.send(&[envelope, &["who", "", "are you"]].concat());
        assert_eq!(rig.receive().unwrap(), ["who", "", "are you"]);
        rig.send(&["", "nobody"]).unwrap();
        assert_eq!(peer.receive(), [envelope, &["", "nobody"]].concat());
    }
}

#[test]
fn an_address_of_any_size_comes_back() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    for size in [1, 40, 41, 255, 256, 16 * 1024, 100_000] {
        let address = vec![7; size];
        peer.send(&[&address[..], b"", b"?"]);
        assert_eq!(rig.receive().unwrap(), ["?"]);
        rig.send(&["!"]).unwrap();
        assert_eq!(peer.receive(), [&address[..], b"", b"!"]);
    }
}

#[test]
fn a_receive_and_a_send_take_turns() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    assert!(wrong_state(&rig.send(&["unasked"])));
    assert!(blocked(&rig.receive()));
    assert!(!rig.can_send());
    peer.send(&["", "a", "b"]);
    assert!(rig.can_receive());
    assert!(rig.receive_part().unwrap().1);
    assert!(wrong_state(&rig.send(&["in the middle of a request"])));
    assert!(!rig.receive_part().unwrap().1);
    peer.send(&["", "next"]);
    assert!(rig.can_send() && !rig.can_receive());
    assert!(wrong_state(&rig.receive()));
    rig.send_part("half", true).unwrap();
    assert!(wrong_state(&rig.receive()));
    rig.send_part("whole", false).unwrap();
    assert!(wrong_state(&rig.send(&["twice"])));
    assert_eq!(peer.receive(), ["", "half", "whole"]);
    assert_eq!(rig.receive().unwrap(), ["next"]);
}

#[test]
fn requests_are_taken_from_peers_in_turn() {
    let mut rig = rig();
    let mut peers = [rig.attach(""), rig.attach(""), rig.attach("")];
    for (peer, name) in peers.iter_mut().zip(["a", "b", "c"]) {
        for _ in 0..2 {
            peer.send(&["", name]);
        }
    }
    for name in ["a", "b", "c", "a", "b", "c"] {
        assert_eq!(rig.receive().unwrap(), [name]);
        rig.send(&[name]).unwrap();
    }
    for (peer, name) in peers.iter_mut().zip(["a", "b", "c"]) {
        assert_eq!([peer.receive(), peer.receive()], [["", name], ["", name]]);
    }
}

#[test]
fn messages_without_an_envelope_are_dropped_and_leave_no_trace() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    for malformed in [&[""][..], &["x"], &["x", "y"], &["x", "y", ""]] {
        peer.send(malformed);
        assert!(!rig.can_receive(), "{malformed:?}");
        assert!(blocked(&rig.receive()), "{malformed:?}");
    }
    peer.send(&["x", "y"]);
    peer.send(&["", "good"]);
    assert_eq!(rig.receive().unwrap(), ["good"]);
    rig.send(&["fine"]).unwrap();
    assert_eq!(peer.receive(), ["", "fine"]);
}

#[test]
fn the_reply_to_a_peer_that_went_is_dropped() {
    let mut rig = rig();
    let (mut gone, mut other) = (rig.attach(""), rig.attach(""));
    gone.send(&["", "?"]);
    assert_eq!(rig.receive().unwrap(), ["?"]);
    gone.close();
    rig.deliver();
    assert!(!rig.has(&gone));
    rig.send(&["in vain"]).unwrap();
    other.send(&["", "?"]);
    assert_eq!(rig.receive().unwrap(), ["?"]);
    rig.send(&["!"]).unwrap();
    assert_eq!(other.receive(), ["", "!"]);
}

#[test]
fn the_rest_of_a_reply_is_dropped_when_its_peer_goes() {
    let mut rig = rig();
    let (mut gone, mut other) = (rig.attach(""), rig.attach(""));
    gone.send(&["", "?"]);
    rig.receive().unwrap();
    rig.send_part("half", true).unwrap();
    gone.close();
    rig.deliver();
    // The newcomer gets the pipe's place, but not its message.
    let mut newcomer = rig.attach("");
    rig.send_part("whole", false).unwrap();
    assert!(newcomer.try_receive().is_none() && other.try_receive().is_none());
    newcomer.send(&["", "?"]);
    rig.receive().unwrap();
    rig.send(&["!"]).unwrap();
    assert_eq!(newcomer.receive(), ["", "!"]);
}

#[test]
fn a_request_cut_off_in_the_middle_is_no_part_of_the_next() {
    let mut rig = rig();
    let (mut first, mut second) = (rig.attach(""), rig.attach(""));
    first.send(&["", "a", "b"]);
    rig.deliver();
    assert!(rig.receive_part().unwrap().1);
    rig.detach(&first);
    second.send(&["x"]);
    second.send(&["", "c"]);
    assert_eq!(rig.receive().unwrap(), ["c"]);
    rig.send(&["!"]).unwrap();
    assert_eq!(second.receive(), ["", "!"]);
}

#[test]
fn a_reply_that_finds_no_room_is_dropped_and_counted() {
    let mut rig = rig();
    rig.hwm = 1;
    let mut peer = rig.attach("");
    // The first may have been written, and not be counted out yet: the second goes beyond the mark.
    for (number, dropped) in [("1", 0), ("2", 0), ("3", 1)] {
        peer.send(&["", number]);
        assert_eq!(rig.receive().unwrap(), [number]);
        rig.send(&[number, "!"]).unwrap();
        assert_eq!(rig.dropped(), dropped);
    }
    assert_eq!(peer.receive(), ["", "1", "!"]);
    assert_eq!(peer.receive(), ["", "2", "!"]);
    peer.send(&["", "4"]);
    rig.receive().unwrap();
    rig.send(&["4"]).unwrap();
    assert_eq!(peer.receive(), ["", "4"]);
}

#[derive(Clone, Debug)]
enum Op {
    Attach,
    Close(usize),
    Detach(usize),
    Request(usize, u8),
    Junk(usize, Vec<u8>),
    Take(usize),
    Send(bool),
    Receive,
    Poll,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Attach),
        1 => (0..4usize).prop_map(Op::Close),
        1 => (0..4usize).prop_map(Op::Detach),
        4 => ((0..4usize), 1..4u8).prop_map(|(peer, parts)| Op::Request(peer, parts)),
        2 => ((0..4usize), prop::collection::vec(0..3u8, 1..4)).prop_map(|(peer, parts)| Op::Junk(peer, parts)),
        2 => (0..4usize).prop_map(Op::Take),
        6 => any::<bool>().prop_map(Op::Send),
        6 => Just(Op::Receive),
        2 => Just(Op::Poll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_requests_and_replies_alternate(ops in prop::collection::vec(op(), 1..80)) {
        let mut rig = rig();
        rig.hwm = 3;
        let mut peers: Vec<Peer> = Vec::new();
        let mut answering = false;
        for op in ops {
            match op {
                Op::Attach if peers.len() < 4 => peers.push(rig.attach("")),
                Op::Attach => {}
                Op::Close(i) if i < peers.len() => peers.remove(i).close(),
                Op::Detach(i) if i < peers.len() => rig.detach(&peers.remove(i)),
                Op::Request(i, parts) => if let Some(peer) = peers.get_mut(i) {
                    let body = vec!["?"; usize::from(parts)];
                    let _ = peer.try_send(&[&["me", ""], &body[..]].concat());
                },
                Op::Junk(i, parts) => if let Some(peer) = peers.get_mut(i) {
                    let parts: Vec<Vec<u8>> = parts.iter().map(|&len| vec![b'?'; usize::from(len)]).collect();
                    let _ = peer.try_send(&parts);
                },
                Op::Take(i) => if let Some(peer) = peers.get_mut(i) {
                    while let Some(reply) = peer.try_receive() {
                        // Every reply that goes out is whole, in an envelope.
                        prop_assert!(reply.0.contains(&Vec::new()));
                        prop_assert_eq!(reply.0.last().map(|body| &body[..]), Some(&b"last"[..]));
                    }
                },
                Op::Send(last) => {
                    prop_assert_eq!(rig.can_send(), answering);
                    let result = rig.send_part(if last { "last" } else { "part" }, !last);
                    prop_assert_eq!(result.is_ok(), answering);
                    prop_assert_eq!(wrong_state(&result), !answering);
                    answering &= !last;
                }
                Op::Receive => {
                    let can = rig.can_receive();
                    let result = rig.receive_part();
                    prop_assert_eq!(can, result.is_ok());
                    prop_assert_eq!(wrong_state(&result), answering);
                    if let Ok((_, false)) = result {
                        answering = true;
                    }
                }
                Op::Poll => prop_assert!(!(rig.can_send() && rig.can_receive())),
                Op::Close(_) | Op::Detach(_) => {}
            }
        }
    }
}
