use super::*;
use crate::pattern::testing::{Parts, Rig, blocked};

fn rig() -> Rig {
    Rig::new(Box::new(Router::default()))
}

fn mandatory() -> Rig {
    let mut rig = rig();
    rig.configure(|options| options.router_mandatory = true);
    rig
}

fn unreachable<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(refusal) if matches!(refusal.error(), Some(Error::HostUnreachable)))
}

/// The routing id in front of the next message.
fn name_of(received: Parts) -> Vec<u8> {
    received.0.into_iter().next().unwrap()
}

#[test]
fn messages_come_with_their_peers_routing_id_and_go_by_it() {
    let mut rig = rig();
    let (mut alice, mut bob) = (rig.attach("alice"), rig.attach("bob"));
    bob.send(&["", "hi", ""]);
    assert_eq!(rig.receive().unwrap(), ["bob", "", "hi", ""]);
    rig.send(&["alice", "one"]).unwrap();
    rig.send(&["bob", "two", "", "parts"]).unwrap();
    assert_eq!(alice.receive(), ["one"]);
    assert_eq!(bob.receive(), ["two", "", "parts"]);
    assert!(alice.try_receive().is_none());
}

#[test]
fn messages_are_taken_from_peers_in_turn() {
    let mut rig = rig();
    let mut peers = [rig.attach("a"), rig.attach("b"), rig.attach("c")];
    for peer in &mut peers {
        peer.send(&["1"]);
        peer.send(&["2", "2"]);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(rig.receive().unwrap(), [name, "1"]);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(rig.receive().unwrap(), [name, "2", "2"]);
    }
    assert!(!rig.can_receive() && blocked(&rig.receive()));
}

#[test]
fn a_peer_without_a_routing_id_gets_one_of_five_bytes() {
    let mut rig = rig();
    let (mut first, mut second) = (rig.attach(""), rig.attach(""));
    first.send(&["1"]);
    second.send(&["2"]);
    let names = [name_of(rig.receive().unwrap()), name_of(rig.receive().unwrap())];
    assert_ne!(names[0], names[1]);
    for (name, peer) in names.iter().zip([&mut first, &mut second]) {
        assert_eq!((name.len(), name[0]), (5, 0));
        rig.send(&[&name[..], b"back"]).unwrap();
        assert_eq!(peer.receive(), ["back"]);
    }
}

#[test]
fn a_made_up_routing_id_is_never_one_that_a_peer_announced() {
    let mut router = Router { next_number: u32::MAX, ..Router::default() };
    router.routes.insert(vec![0, 255, 255, 255, 255], 0);
    assert_eq!(router.make_name(), [0, 0, 0, 0, 0]);
}

#[test]
fn received_parts_tell_the_properties_of_their_connection() {
    let mut rig = rig();
    let mut peer = rig.attach("alice");
    peer.send(&["hi"]);
    rig.deliver();
    let (name, _) = rig.receive_part().unwrap();
    let (body, _) = rig.receive_part().unwrap();
    assert_eq!((name.property("Test-Peer"), body.property("Test-Peer")), (Some("alice"), Some("alice")));
}

#[test]
fn a_buffer_too_short_cuts_the_routing_id_and_tells_its_length() {
    let mut rig = rig();
    let mut peer = rig.attach("alice");
    peer.send(&["hi"]);
    rig.deliver();
    let mut buffer = [0; 3];
    let mut sink = Sink::Slice { buffer: &mut buffer, len: 0 };
    assert!(rig.pattern.receive(&mut rig.pipes, &mut sink).unwrap());
    let Sink::Slice { len, .. } = sink else { panic!() };
    assert_eq!((len, &buffer), (5, b"ali"));
}

#[test]
fn a_message_for_an_unknown_routing_id_is_dropped_and_counted() {
    let mut rig = rig();
    let mut peer = rig.attach("alice");
    assert!(rig.can_send());
    rig.send(&["bob", "hi", "there"]).unwrap();
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(peer.receive(), ["hi"]);
    assert_eq!(rig.dropped(), 1);
}

#[test]
fn a_mandatory_message_for_an_unknown_routing_id_fails_and_the_next_starts_afresh() {
    let mut rig = mandatory();
    assert!(!rig.can_send());
    assert!(unreachable(&rig.send(&["alice", "hi"])));
    let mut peer = rig.attach("alice");
    assert!(rig.can_send());
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(peer.receive(), ["hi"]);
    assert_eq!(rig.dropped(), 0);
}

#[test]
fn a_routing_id_with_nothing_behind_it_is_ignored() {
    let mut rig = mandatory();
    let mut peer = rig.attach("alice");
    rig.send(&["alice"]).unwrap();
    rig.send(&["nobody"]).unwrap();
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(peer.receive(), ["hi"]);
}

#[test]
fn a_full_pipe_drops_whole_messages() {
    let mut rig = rig();
    rig.hwm = 1;
    let mut peer = rig.attach("alice");
    rig.send(&["alice", "1"]).unwrap();
    rig.send(&["alice", "2", "2"]).unwrap();
    assert_eq!(rig.dropped(), 1);
    assert_eq!(peer.receive(), ["1"]);
    rig.send(&["alice", "3"]).unwrap();
    assert_eq!(peer.receive(), ["3"]);
    assert!(peer.try_receive().is_none());
}

#[test]
fn a_full_pipe_blocks_a_mandatory_message() {
    let mut rig = mandatory();
    rig.hwm = 1;
    let (mut alice, mut bob) = (rig.attach("alice"), rig.attach("bob"));
    rig.send(&["alice", "1"]).unwrap();
    assert!(rig.can_send(), "there is room for bob");
    assert!(blocked(&rig.send(&["alice", "2"])));
    rig.send(&["bob", "2"]).unwrap();
    assert!(!rig.can_send());
    assert_eq!(alice.receive(), ["1"]);
    assert!(rig.can_send());
    rig.send(&["alice", "2"]).unwrap();
    assert_eq!((alice.receive(), bob.receive()), (Parts(vec![b"2".to_vec()]), Parts(vec![b"2".to_vec()])));
    assert_eq!(rig.dropped(), 0);
}

#[test]
fn a_mandatory_message_for_a_peer_that_left_input_behind_fails_rather_than_waits() {
    let mut rig = mandatory();
    let mut peer = rig.attach("alice");
    peer.send(&["last"]);
    peer.close();
    rig.deliver();
    assert!(rig.has(&peer));
    assert!(unreachable(&rig.send(&["alice", "too late"])));
    assert_eq!(rig.receive().unwrap(), ["alice", "last"]);
    assert!(!rig.can_receive());
    rig.deliver();
    assert!(!rig.has(&peer));
}

#[test]
fn the_rest_of_a_message_is_dropped_when_its_peer_goes() {
    let mut rig = rig();
    let mut alice = rig.attach("alice");
    rig.send_part("alice", true).unwrap();
    rig.send_part("half", true).unwrap();
    alice.close();
    rig.deliver();
    let mut again = rig.attach("alice");
    rig.send_part("whole", false).unwrap();
    assert!(again.try_receive().is_none());
    assert_eq!(rig.dropped(), 1);
    rig.send(&["alice", "new"]).unwrap();
    assert_eq!(again.receive(), ["new"]);
}

#[test]
fn a_peer_that_goes_between_routing_id_and_body_takes_the_message_with_it() {
    let mut rig = rig();
    let mut alice = rig.attach("alice");
    rig.send_part("alice", true).unwrap();
    alice.close();
    rig.deliver();
    rig.send_part("body", false).unwrap();
    assert_eq!(rig.dropped(), 1);
    let mut bob = rig.attach("bob");
    rig.send(&["bob", "hi"]).unwrap();
    assert_eq!(bob.receive(), ["hi"]);
}

#[test]
fn a_message_cut_off_in_the_middle_is_no_part_of_the_next() {
    let mut rig = rig();
    let (mut alice, mut bob) = (rig.attach("alice"), rig.attach("bob"));
    alice.send(&["a", "b"]);
    bob.send(&["c"]);
    rig.deliver();
    assert!(rig.receive_part().unwrap().1);
    rig.detach(&alice);
    assert_eq!(rig.receive().unwrap(), ["bob", "c"]);
}

#[test]
fn a_second_peer_with_the_same_routing_id_is_refused() {
    let mut rig = rig();
    let mut first = rig.attach("alice");
    let mut second = rig.attach("alice");
    assert!(rig.refused && second.is_over() && !rig.has(&second));
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(first.receive(), ["hi"]);
    first.close();
    rig.deliver();
    let mut third = rig.attach("alice");
    assert!(!rig.refused);
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(third.receive(), ["hi"]);
}

#[test]
fn a_peer_that_comes_back_before_its_last_input_was_read_is_let_in() {
    let mut rig = rig();
    let mut first = rig.attach("alice");
    first.send(&["last"]);
    first.close();
    rig.deliver();
    let mut second = rig.attach("alice");
    assert!(!rig.refused);
    second.send(&["first"]);
    assert_eq!(rig.receive().unwrap(), ["alice", "last"]);
    assert_eq!(rig.receive().unwrap(), ["alice", "first"]);
    rig.deliver();
    assert!(!rig.has(&first));
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(second.receive(), ["hi"]);
}

#[test]
fn with_handover_a_newcomer_takes_the_routing_id() {
    let mut rig = rig();
    rig.configure(|options| options.router_handover = true);
    let mut first = rig.attach("alice");
    let mut second = rig.attach("alice");
    assert!(!rig.refused && !rig.has(&first) && first.is_over());
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(second.receive(), ["hi"]);
    second.send(&["ho"]);
    assert_eq!(rig.receive().unwrap(), ["alice", "ho"]);
}

#[test]
fn with_handover_a_message_being_read_is_read_to_its_end() {
    let mut rig = rig();
    rig.configure(|options| options.router_handover = true);
    let mut first = rig.attach("alice");
    first.send(&["a", "b"]);
    first.send(&["never read"]);
    rig.deliver();
    assert!(rig.receive_part().unwrap().1);
    let mut second = rig.attach("alice");
    second.send(&["c"]);
    assert!(rig.has(&first));
    assert_eq!(rig.receive().unwrap(), ["a", "b"]);
    assert!(!rig.has(&first));
    assert_eq!(rig.receive().unwrap(), ["alice", "c"]);
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(second.receive(), ["hi"]);
}

#[test]
fn a_connecting_pipe_has_no_name_until_its_handshake() {
    let mut rig = mandatory();
    let mut peer = rig.attach_unconnected();
    peer.send(&["hi"]);
    assert!(!rig.can_receive() && !rig.can_send());
    assert!(unreachable(&rig.send(&["alice", "hi"])));
    rig.connected(&peer, "alice");
    assert_eq!(rig.receive().unwrap(), ["alice", "hi"]);
    rig.send(&["alice", "ho"]).unwrap();
    assert_eq!(peer.receive(), ["ho"]);
}

#[test]
fn a_connecting_pipe_keeps_its_name_over_reconnects() {
    let mut rig = rig();
    let (mut named, mut nameless) = (rig.attach_unconnected(), rig.attach_unconnected());
    rig.connected(&named, "alice");
    rig.connected(&nameless, "");
    nameless.send(&["hi"]);
    let name = name_of(rig.receive().unwrap());
    rig.disconnected(&named);
    rig.disconnected(&nameless);
    rig.connected(&named, "bob");
    rig.connected(&nameless, "");
    rig.send(&["alice", "hi"]).unwrap();
    rig.send(&[&name[..], b"ho"]).unwrap();
    assert_eq!(
        (named.receive(), nameless.receive()),
        (Parts(vec![b"hi".to_vec()]), Parts(vec![b"ho".to_vec()]))
    );
}

#[test]
fn a_connecting_pipe_whose_peers_name_is_taken_gets_it_when_it_is_free() {
    let mut rig = rig();
    let mut first = rig.attach("alice");
    let mut second = rig.attach_unconnected();
    rig.connected(&second, "alice");
    second.send(&["hi"]);
    assert!(!rig.can_receive() && rig.has(&second));
    first.close();
    rig.deliver();
    assert_eq!(rig.receive().unwrap(), ["alice", "hi"]);
    rig.send(&["alice", "ho"]).unwrap();
    assert_eq!(second.receive(), ["ho"]);
}

#[test]
fn the_next_peer_connected_to_is_known_by_the_name_given() {
    let mut rig = mandatory();
    rig.pattern.name_next_peer(b"server").unwrap();
    let mut bystander = rig.attach("alice");
    let mut peer = rig.attach_unconnected();
    rig.send(&["server", "before the handshake"]).unwrap();
    assert_eq!(peer.receive(), ["before the handshake"]);
    rig.connected(&peer, "announced");
    peer.send(&["hi"]);
    assert_eq!(rig.receive().unwrap(), ["server", "hi"]);
    rig.send(&["alice", "hi"]).unwrap();
    assert_eq!(bystander.receive(), ["hi"]);
    // The name was for one peer.
    let other = rig.attach_unconnected();
    rig.connected(&other, "other");
    rig.send(&["other", "hi"]).unwrap();
}

#[test]
fn a_name_for_the_next_peer_must_be_free_and_of_a_lawful_length() {
    let mut rig = rig();
    rig.attach("alice");
    for name in [&b""[..], b"alice", &[1; 256]] {
        assert!(matches!(rig.pattern.name_next_peer(name), Err(Error::InvalidArgument)));
    }
    rig.pattern.name_next_peer(&[1; 255]).unwrap();
}

#[test]
fn new_peers_are_probed_on_request() {
    let mut rig = rig();
    rig.configure(|options| options.probe_router = true);
    let (mut peer, mut connecting) = (rig.attach("alice"), rig.attach_unconnected());
    assert_eq!(peer.receive(), [""]);
    assert_eq!(connecting.receive(), [""]);
}

#[test]
fn a_thousand_peers_come_and_go_and_their_names_are_free_again() {
    let mut rig = rig();
    for round in 0..1000u32 {
        let name = (round % 10).to_string();
        let mut peer = rig.attach(&name);
        assert!(!rig.refused);
        peer.send(&["hi"]);
        assert_eq!(rig.receive().unwrap(), [name.as_str(), "hi"]);
        peer.close();
        rig.deliver();
        assert!(!rig.has(&peer));
    }
}
