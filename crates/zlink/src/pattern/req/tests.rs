use proptest::prelude::*;

use super::*;
use crate::pattern::testing::{Peer, Rig, blocked, wrong_state};

fn rig() -> Rig {
    Rig::new(Box::new(Req::default()))
}

#[test]
fn a_request_carries_a_delimiter_and_the_reply_comes_without() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["who", "are you"]).unwrap();
    assert_eq!(peer.receive(), ["", "who", "are you"]);
    peer.send(&["", "nobody", ""]);
    assert_eq!(rig.receive().unwrap(), ["nobody", ""]);
}

#[test]
fn a_send_and_a_receive_take_turns() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    assert!(wrong_state(&rig.receive()));
    rig.send_part("half", true).unwrap();
    assert!(wrong_state(&rig.receive()));
    rig.send_part("whole", false).unwrap();
    assert!(wrong_state(&rig.send(&["again"])));
    assert!(!rig.can_send() && !rig.can_receive());
    assert!(blocked(&rig.receive()));
    peer.send(&["", "a", "b"]);
    assert!(rig.can_receive());
    assert!(rig.receive_part().unwrap().1);
    assert!(wrong_state(&rig.send(&["in the middle of a reply"])));
    assert!(!rig.receive_part().unwrap().1);
    assert!(wrong_state(&rig.receive()));
    assert!(rig.can_send());
}

#[test]
fn requests_go_to_peers_in_turn() {
    let mut rig = rig();
    let mut peers = [rig.attach(""), rig.attach(""), rig.attach("")];
    for round in ["1", "2"] {
        for peer in &mut peers {
            rig.send(&[round]).unwrap();
            assert_eq!(peer.receive(), ["", round]);
            peer.send(&["", round]);
            assert_eq!(rig.receive().unwrap(), [round]);
        }
    }
}

#[test]
fn a_request_waits_for_a_peer() {
    let mut rig = rig();
    assert!(!rig.can_send());
    assert!(blocked(&rig.send(&["early"])));
    let mut peer = rig.attach("");
    rig.send(&["now"]).unwrap();
    assert_eq!(peer.receive(), ["", "now"]);
    assert!(peer.try_receive().is_none());
}

#[test]
fn a_request_waits_for_room() {
    let mut rig = rig();
    rig.hwm = 1;
    let mut peer = rig.attach("");
    rig.send(&["1"]).unwrap();
    peer.send(&["", "1"]);
    rig.receive().unwrap();
    assert!(!rig.can_send());
    assert!(blocked(&rig.send(&["2"])));
    assert_eq!(peer.receive(), ["", "1"]);
    rig.send(&["2"]).unwrap();
    assert_eq!(peer.receive(), ["", "2"]);
}

#[test]
fn only_the_peer_that_was_asked_answers() {
    let mut rig = rig();
    let (mut asked, mut other) = (rig.attach(""), rig.attach(""));
    rig.send(&["?"]).unwrap();
    other.send(&["", "not asked", "at all"]);
    assert!(!rig.can_receive());
    assert!(blocked(&rig.receive()));
    other.send(&["", "still not asked"]);
    asked.send(&["", "asked"]);
    assert_eq!(rig.receive().unwrap(), ["asked"]);
}

#[test]
fn malformed_replies_are_dropped() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["?"]).unwrap();
    for malformed in [&[""][..], &["x"], &["x", "y"], &["x", "", "y"]] {
        peer.send(malformed);
        assert!(!rig.can_receive(), "{malformed:?}");
        assert!(blocked(&rig.receive()), "{malformed:?}");
    }
    peer.send(&["x", ""]);
    peer.send(&["", "good"]);
    assert_eq!(rig.receive().unwrap(), ["good"]);
}

#[test]
fn a_reply_that_came_before_the_request_is_not_its_reply() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    peer.send(&["", "stale"]);
    rig.send(&["?"]).unwrap();
    assert!(blocked(&rig.receive()));
    peer.send(&["", "fresh"]);
    assert_eq!(rig.receive().unwrap(), ["fresh"]);
}

#[test]
fn correlated_requests_are_numbered_and_replies_matched() {
    let mut rig = rig();
    rig.configure(|options| options.req_correlate = true);
    let mut peer = rig.attach("");
    let mut last = None;
    for _ in 0..3 {
        rig.send(&["?"]).unwrap();
        let request = peer.receive().0;
        let [number, delimiter, body] = &request[..] else { panic!("{request:?}") };
        assert_eq!((number.len(), delimiter.len(), &body[..]), (4, 0, &b"?"[..]));
        assert_ne!(last.replace(number.clone()), Some(number.clone()));
        let other: Vec<u8> = number.iter().map(|byte| byte ^ 1).collect();
        for wrong in [&[&other[..], b"", b"x"][..], &[b"", b"x"], &[number, b"x"], &[number], &[number, b""]]
        {
            peer.send(wrong);
        }
        assert!(blocked(&rig.receive()));
        peer.send(&[&number[..], b"", b"!"]);
        assert_eq!(rig.receive().unwrap(), ["!"]);
    }
}

#[test]
fn the_request_under_way_keeps_its_form_when_correlation_is_switched() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["plain"]).unwrap();
    rig.configure(|options| options.req_correlate = true);
    peer.send(&["", "plain"]);
    assert_eq!(rig.receive().unwrap(), ["plain"]);
}

#[test]
fn a_relaxed_socket_asks_another_peer_and_drops_the_late_reply() {
    let mut rig = rig();
    rig.configure(|options| (options.req_relaxed, options.req_correlate) = (true, true));
    let (mut first, mut second) = (rig.attach(""), rig.attach(""));
    rig.send(&["1"]).unwrap();
    let request = first.receive().0;
    assert!(rig.can_send());
    rig.send(&["2"]).unwrap();
    first.send(&request);
    let request = second.receive().0;
    assert!(blocked(&rig.receive()));
    second.send(&request);
    assert_eq!(rig.receive().unwrap(), ["2"]);
    assert!(rig.has(&first) && rig.has(&second));
    rig.send(&["3"]).unwrap();
    assert_eq!(first.receive().0[2], b"3");
}

#[test]
fn a_relaxed_send_in_the_middle_of_a_reply_drops_its_rest() {
    let mut rig = rig();
    rig.configure(|options| options.req_relaxed = true);
    let mut peer = rig.attach("");
    rig.send(&["1"]).unwrap();
    peer.send(&["", "a", "b"]);
    assert!(rig.can_receive());
    assert!(rig.receive_part().unwrap().1);
    rig.send(&["2"]).unwrap();
    assert!(blocked(&rig.receive()));
    peer.send(&["", "c"]);
    assert_eq!(rig.receive().unwrap(), ["c"]);
}

#[test]
fn a_request_whose_peer_went_is_still_waited_for_unless_relaxed() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["?"]).unwrap();
    peer.close();
    rig.deliver();
    assert!(!rig.has(&peer));
    assert!(wrong_state(&rig.send(&["another"])));
    // The peer comes back through a new pipe, with the answer it had ready.
    let mut again = rig.attach("");
    again.send(&["", "here"]);
    assert_eq!(rig.receive().unwrap(), ["here"]);
    rig.configure(|options| options.req_relaxed = true);
    rig.send(&["?"]).unwrap();
    again.close();
    rig.deliver();
    let mut other = rig.attach("");
    rig.send(&["another"]).unwrap();
    assert_eq!(other.receive(), ["", "another"]);
}

#[test]
fn a_reply_can_be_read_after_its_peer_went() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["?"]).unwrap();
    peer.send(&["", "last", "words"]);
    peer.close();
    assert_eq!(rig.receive().unwrap(), ["last", "words"]);
    assert!(!rig.can_send());
    assert!(blocked(&rig.send(&["?"])));
    assert!(!rig.has(&peer));
}

#[test]
fn a_half_sent_request_is_dropped_when_its_pipe_is_taken_away() {
    let mut rig = rig();
    let (first, mut second) = (rig.attach(""), rig.attach(""));
    rig.send_part("half", true).unwrap();
    rig.detach(&first);
    assert!(rig.can_send());
    rig.send_part("whole", false).unwrap();
    assert!(second.try_receive().is_none());
    assert!(wrong_state(&rig.send(&["?"])));
}

#[test]
fn a_reply_cut_off_in_the_middle_is_no_part_of_the_next() {
    let mut rig = rig();
    let mut peer = rig.attach("");
    rig.send(&["?"]).unwrap();
    peer.send(&["", "a", "b"]);
    rig.deliver();
    assert!(rig.receive_part().unwrap().1);
    rig.detach(&peer);
    let mut again = rig.attach("");
    again.send(&["b"]);
    again.send(&["", "c"]);
    assert_eq!(rig.receive().unwrap(), ["c"]);
}

#[test]
fn new_peers_are_probed_on_request() {
    let mut rig = rig();
    rig.configure(|options| options.probe_router = true);
    let mut peer = rig.attach("");
    assert_eq!(peer.receive(), [""]);
}

#[derive(Clone, Debug)]
enum Op {
    Attach,
    Close(usize),
    Detach(usize),
    /// A peer answers the last request it got.
    Answer(usize),
    /// A peer sends these parts, whatever they are.
    Junk(usize, Vec<u8>),
    Send(bool),
    Receive,
    Poll,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Attach),
        1 => (0..4usize).prop_map(Op::Close),
        1 => (0..4usize).prop_map(Op::Detach),
        4 => (0..4usize).prop_map(Op::Answer),
        2 => ((0..4usize), prop::collection::vec(0..5u8, 1..4)).prop_map(|(peer, parts)| Op::Junk(peer, parts)),
        6 => any::<bool>().prop_map(Op::Send),
        6 => Just(Op::Receive),
        2 => Just(Op::Poll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_requests_and_replies_alternate(
        ops in prop::collection::vec(op(), 1..80),
        correlate: bool,
    ) {
        let mut rig = rig();
        rig.hwm = 3;
        rig.configure(|options| options.req_correlate = correlate);
        let mut peers: Vec<(Peer, Vec<Vec<u8>>)> = Vec::new();
        let (mut asking, mut waiting) = (0, false);
        for op in ops {
            match op {
                Op::Attach if peers.len() < 4 => peers.push((rig.attach(""), Vec::new())),
                Op::Attach => {}
                Op::Close(i) if i < peers.len() => peers.remove(i).0.close(),
                Op::Detach(i) if i < peers.len() => rig.detach(&peers.remove(i).0),
                Op::Answer(i) => if let Some((peer, request)) = peers.get_mut(i) {
                    while let Some(next) = peer.try_receive() {
                        // Every request that goes out is whole.
                        prop_assert_eq!(&next.0[usize::from(correlate)], b"");
                        prop_assert_eq!(next.0.last().map(|body| &body[..]), Some(&b"last"[..]));
                        *request = next.0;
                    }
                    if !request.is_empty() {
                        let _ = peer.try_send(request);
                    }
                },
                Op::Junk(i, parts) => if let Some((peer, _)) = peers.get_mut(i) {
                    let parts: Vec<Vec<u8>> = parts.iter().map(|&len| vec![0; usize::from(len)]).collect();
                    let _ = peer.try_send(&parts);
                },
                Op::Send(last) => {
                    let can = rig.can_send();
                    let result = rig.send_part(if last { "last" } else { "part" }, !last);
                    prop_assert_eq!(can, result.is_ok());
                    prop_assert_eq!(wrong_state(&result), waiting);
                    if result.is_ok() {
                        asking = if last { 0 } else { asking + 1 };
                        waiting = last;
                    }
                }
                Op::Receive => {
                    let can = rig.can_receive();
                    let result = rig.receive_part();
                    prop_assert_eq!(can, result.is_ok());
                    prop_assert_eq!(wrong_state(&result), !waiting);
                    prop_assert!(asking == 0 || !waiting);
                    if let Ok((_, false)) = result {
                        waiting = false;
                    }
                }
                Op::Poll => {
                    prop_assert!(!(rig.can_send() && rig.can_receive()));
                }
                Op::Close(_) | Op::Detach(_) => {}
            }
        }
    }
}
