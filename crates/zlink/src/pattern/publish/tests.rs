//! PUB and XPUB by their rules.

use zlink_pipe::BY_REFERENCE;

use super::*;
use crate::pattern::testing::{Parts, Peer, Rig};

fn xpub() -> Rig {
    Rig::new(Box::new(Publisher::extended()))
}

fn publ() -> Rig {
    Rig::new(Box::new(Publisher::publish()))
}

fn add(topic: &str) -> Vec<u8> {
    [&[1], topic.as_bytes()].concat()
}

fn cancel(topic: &str) -> Vec<u8> {
    [&[0], topic.as_bytes()].concat()
}

fn subscriber(rig: &mut Rig, topics: &[&str]) -> Peer {
    let mut peer = rig.attach("");
    for topic in topics {
        peer.send(&[add(topic)]);
    }
    rig.deliver();
    peer
}

/// Everything the application can receive.
fn received(rig: &mut Rig) -> Vec<Parts> {
    std::iter::from_fn(|| rig.receive().ok()).collect()
}

fn all(peer: &mut Peer) -> Vec<Parts> {
    std::iter::from_fn(|| peer.try_receive()).collect()
}

fn one_part(part: &str) -> Parts {
    Parts(vec![part.as_bytes().to_vec()])
}

#[test]
fn a_message_after_a_subscription_goes_to_its_peer_alone_for_last_values() {
    let mut rig = xpub();
    rig.configure(|options| (options.xpub_manual, options.xpub_manual_last_value) = (true, true));
    let mut peers = Vec::new();
    for number in ["1", "2"] {
        peers.push(subscriber(&mut rig, &["a"]));
        assert_eq!(received(&mut rig), [[add("a")]]);
        rig.pattern.subscribe(&mut rig.pipes, b"a", true).unwrap();
        rig.send(&["a cached", number]).unwrap();
        rig.send(&["a live", number]).unwrap();
    }
    assert_eq!(all(&mut peers[0]), [["a cached", "1"], ["a live", "1"], ["a live", "2"]]);
    assert_eq!(all(&mut peers[1]), [["a cached", "2"], ["a live", "2"]]);
}

#[test]
fn a_last_value_is_for_a_peer_that_is_there_and_has_subscribed() {
    let mut rig = xpub();
    rig.configure(|options| (options.xpub_manual, options.xpub_manual_last_value) = (true, true));
    let mut old = subscriber(&mut rig, &["a"]);
    received(&mut rig);
    rig.pattern.subscribe(&mut rig.pipes, b"a", true).unwrap();
    rig.send(&["a1"]).unwrap();
    let mut other = subscriber(&mut rig, &["b"]);
    received(&mut rig);
    rig.send(&["a2: for the peer that was not let subscribe"]).unwrap();
    other.send(&[cancel("b")]);
    received(&mut rig);
    other.close();
    rig.send(&["a3"]).unwrap();
    assert_eq!(all(&mut old), [["a1"], ["a3"]]);
}

#[test]
fn only_a_message_that_begins_with_a_subscription_has_subscriptions_if_so_asked() {
    for only_first in [false, true] {
        let mut rig = xpub();
        rig.configure(|options| options.only_first_subscribe = only_first);
        let mut peer = rig.attach("");
        peer.send(&[b"data".to_vec(), add("a")]);
        peer.send(&[add("b"), b"data".to_vec(), add("c")]);
        rig.deliver();
        let topics = received(&mut rig).into_iter().flat_map(|parts| parts.0);
        assert_eq!(topics.count(), 5, "all is received");
        let mut heard = Vec::new();
        for topic in ["a", "b", "c"] {
            rig.send(&[topic]).unwrap();
            heard.extend(all(&mut peer));
        }
        assert_eq!(heard.len(), if only_first { 2 } else { 3 });
    }
}

#[test]
fn a_message_reaches_those_subscribed_to_a_prefix_of_it() {
    let mut rig = publ();
    let mut weather = subscriber(&mut rig, &["weather"]);
    let mut news = subscriber(&mut rig, &["news"]);
    let mut everything = subscriber(&mut rig, &[""]);
    let mut nothing = subscriber(&mut rig, &[]);
    rig.send(&["weather/rain", "body"]).unwrap();
    rig.send(&["weath"]).unwrap();
    assert_eq!(all(&mut weather), [["weather/rain", "body"]]);
    assert_eq!((all(&mut news).len(), all(&mut nothing).len()), (0, 0));
    assert_eq!(everything.receive(), ["weather/rain", "body"]);
    assert_eq!(everything.receive(), ["weath"]);
    assert_eq!(rig.dropped(), 0);
}

#[test]
fn several_matching_subscriptions_deliver_once() {
    let mut rig = publ();
    let mut peer = subscriber(&mut rig, &["", "a", "ab", "abc", "ab"]);
    rig.send(&["abcd"]).unwrap();
    assert_eq!(all(&mut peer), [["abcd"]]);
}

#[test]
fn a_cancelled_subscription_delivers_no_more() {
    let mut rig = publ();
    let mut peer = subscriber(&mut rig, &["a", "b"]);
    peer.send(&[cancel("a")]);
    rig.send(&["a1"]).unwrap();
    rig.send(&["b1"]).unwrap();
    assert_eq!(all(&mut peer), [["b1"]]);
}

#[test]
fn subscriptions_that_came_before_the_pipe_was_attached_count() {
    let mut rig = xpub();
    let mut peer = rig.attach("");
    peer.send(&[add("early")]);
    // As if the pipe came only now: nobody has told that it has input.
    rig.pattern.attached(&mut rig.pipes, peer.index());
    rig.send_part("early bird", false).unwrap();
    assert_eq!(peer.receive(), ["early bird"]);
}

#[test]
fn a_full_subscriber_misses_messages_that_others_get() {
    let mut rig = publ();
    rig.hwm = 2;
    let mut slow = subscriber(&mut rig, &[""]);
    rig.hwm = 100;
    let mut quick = subscriber(&mut rig, &[""]);
    for i in 0..5 {
        rig.send(&[format!("{i}")]).unwrap();
    }
    assert_eq!(rig.dropped(), 3);
    assert_eq!(all(&mut slow), [["0"], ["1"]]);
    assert_eq!(all(&mut quick).len(), 5);
    rig.send(&["again"]).unwrap();
    assert_eq!((slow.receive(), quick.receive()), (one_part("again"), one_part("again")));
    assert_eq!(rig.dropped(), 3);
}

#[test]
fn a_multipart_message_is_missed_as_a_whole() {
    let mut rig = publ();
    rig.hwm = 1;
    let mut slow = subscriber(&mut rig, &[""]);
    rig.hwm = 100;
    let mut quick = subscriber(&mut rig, &[""]);
    rig.send(&["first"]).unwrap();
    rig.deliver();
    rig.send_part("head", true).unwrap();
    // Room now would be too late for the message under way.
    assert_eq!(slow.receive(), ["first"]);
    rig.deliver();
    rig.send_part("tail", false).unwrap();
    assert_eq!(rig.dropped(), 1, "a message counts once, whatever its parts");
    assert!(slow.try_receive().is_none());
    assert_eq!((quick.receive(), quick.receive().0.len()), (one_part("first"), 2));
    rig.send(&["next", "one"]).unwrap();
    assert_eq!(
        (slow.receive(), quick.receive().0.len()),
        (Parts(vec![b"next".to_vec(), b"one".to_vec()]), 2)
    );
}

#[test]
fn a_multipart_message_is_matched_by_its_first_part_alone() {
    let mut rig = publ();
    let mut peer = subscriber(&mut rig, &["b"]);
    rig.send(&["a", "b"]).unwrap();
    assert!(peer.try_receive().is_none());
    rig.send(&["b", "a"]).unwrap();
    assert_eq!(peer.receive(), ["b", "a"]);
}

#[test]
fn a_subscriber_that_comes_in_the_middle_of_a_message_gets_none_of_it() {
    let mut rig = publ();
    let mut first = subscriber(&mut rig, &[""]);
    rig.send_part("1", true).unwrap();
    let mut late = subscriber(&mut rig, &[""]);
    rig.send_part("2", true).unwrap();
    rig.send_part("3", false).unwrap();
    assert_eq!(all(&mut first), [["1", "2", "3"]]);
    assert!(late.try_receive().is_none());
    rig.send(&["next"]).unwrap();
    assert_eq!(late.receive(), ["next"]);
}

#[test]
fn a_subscriber_that_goes_in_the_middle_of_a_message_does_not_hurt_the_others() {
    let mut rig = publ();
    let leaving = subscriber(&mut rig, &[""]);
    let mut staying = subscriber(&mut rig, &[""]);
    rig.send_part("1", true).unwrap();
    rig.detach(&leaving);
    // The index is used again while the message is under way.
    let mut newcomer = subscriber(&mut rig, &[""]);
    assert_eq!(newcomer.index(), leaving.index());
    rig.send_part("2", false).unwrap();
    assert_eq!(staying.receive(), ["1", "2"]);
    assert!(newcomer.try_receive().is_none());
    rig.send(&["next"]).unwrap();
    assert_eq!((newcomer.receive(), staying.receive().0.len()), (one_part("next"), 1));
}

#[test]
fn a_large_body_is_shared_by_all_subscribers() {
    let mut rig = publ();
    let mut peers: Vec<Peer> = (0..3).map(|_| subscriber(&mut rig, &[""])).collect();
    let body = Message::from(vec![7; BY_REFERENCE]);
    let at = body.as_ptr();
    for more in [true, false] {
        let mut message = body.clone();
        rig.pattern.send(&mut rig.pipes, &mut Body::Message(&mut message), more).unwrap();
    }
    for peer in &mut peers {
        for more in [true, false] {
            let part = peer.receive_part();
            assert_eq!((part.as_ptr(), part.len(), part.more()), (at, BY_REFERENCE, more));
        }
    }
    // A caller's own bytes are copied once, not once a subscriber.
    rig.send(&[vec![8; BY_REFERENCE]]).unwrap();
    let addresses: Vec<Message> = peers.iter_mut().map(Peer::receive_part).collect();
    assert!(addresses.iter().all(|part| part.as_ptr() == addresses[0].as_ptr()));
}

#[test]
fn a_small_body_reaches_all_subscribers_whoever_owns_it() {
    let mut rig = publ();
    let mut peers: Vec<Peer> = (0..3).map(|_| subscriber(&mut rig, &[""])).collect();
    let mut message = Message::from(vec![7; 100]);
    rig.pattern.send(&mut rig.pipes, &mut Body::Message(&mut message), false).unwrap();
    for peer in &mut peers {
        assert_eq!(peer.receive(), [[7; 100]]);
    }
}

#[test]
fn pub_receives_nothing_and_is_never_readable() {
    let mut rig = publ();
    let mut peer = subscriber(&mut rig, &["a"]);
    peer.send(&["data"]);
    peer.send(&[cancel("unknown")]);
    peer.send(&[""]);
    assert!(!rig.can_receive());
    assert!(matches!(rig.receive(), Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported))));
    rig.detach(&peer);
    assert!(!rig.can_receive());
}

#[test]
fn sending_is_always_possible() {
    let mut rig = publ();
    assert!(rig.can_send());
    rig.send(&["to nobody"]).unwrap();
    rig.hwm = 1;
    let _full = subscriber(&mut rig, &[""]);
    rig.send(&["1"]).unwrap();
    rig.send(&["2"]).unwrap();
    assert!(rig.can_send());
    assert_eq!(rig.dropped(), 1);
}

#[test]
fn xpub_receives_the_first_subscription_and_the_last_cancellation_of_a_topic() {
    let mut rig = xpub();
    let mut one = subscriber(&mut rig, &["t", "t"]);
    let mut two = subscriber(&mut rig, &["t", "u"]);
    assert_eq!(rig.pattern.topics().unwrap(), 2);
    assert_eq!(received(&mut rig), [[add("t")], [add("u")]]);
    one.send(&[cancel("t")]);
    one.send(&[cancel("t")]);
    one.send(&[cancel("never subscribed")]);
    assert_eq!(received(&mut rig).len(), 0);
    two.send(&[cancel("t")]);
    assert_eq!(received(&mut rig), [[cancel("t")]]);
    assert!(!rig.can_receive());
    assert!(matches!(rig.receive(), Err(Refusal::Blocked)));
    assert_eq!(rig.pattern.topics().unwrap(), 1);
}

#[test]
fn verbose_xpub_receives_repeated_subscriptions() {
    let mut rig = xpub();
    rig.configure(|options| options.xpub_verbose = true);
    let mut one = subscriber(&mut rig, &["t", "t"]);
    let _two = subscriber(&mut rig, &["t"]);
    assert_eq!(received(&mut rig), [[add("t")], [add("t")], [add("t")]]);
    one.send(&[cancel("t")]);
    assert_eq!(received(&mut rig).len(), 0, "cancellations stay unique");
}

#[test]
fn verboser_xpub_receives_repeated_cancellations_too() {
    let mut rig = xpub();
    rig.configure(|options| (options.xpub_verbose, options.xpub_verboser) = (true, true));
    let mut one = subscriber(&mut rig, &["t"]);
    let two = subscriber(&mut rig, &["t", "u"]);
    assert_eq!(received(&mut rig).len(), 3);
    one.send(&[cancel("t")]);
    one.send(&[cancel("t")]);
    assert_eq!(received(&mut rig), [[cancel("t")], [cancel("t")]]);
    one.send(&[add("t")]);
    rig.deliver();
    rig.detach(&two);
    assert_eq!(received(&mut rig), [[add("t")], [cancel("t")], [cancel("u")]]);
}

#[test]
fn a_peer_that_goes_cancels_what_only_it_was_subscribed_to() {
    let mut rig = xpub();
    let mut leaving = subscriber(&mut rig, &["own", "shared"]);
    let mut staying = subscriber(&mut rig, &["shared"]);
    assert_eq!(received(&mut rig).len(), 2);
    leaving.send(&[add("last words")]);
    leaving.close();
    assert_eq!(received(&mut rig), [[add("last words")], [cancel("own")], [cancel("last words")]]);
    assert!(!rig.has(&leaving));
    rig.send(&["shared"]).unwrap();
    assert_eq!(staying.receive(), ["shared"]);
    assert_eq!(rig.pattern.topics().unwrap(), 1);
}

#[test]
fn notifications_tell_which_connection_they_come_from() {
    let mut rig = xpub();
    let mut peer = rig.attach("somebody");
    peer.send(&[add("t")]);
    rig.deliver();
    let (message, more) = rig.receive_part().unwrap();
    assert_eq!((&*message, more, message.property("Test-Peer")), (&b"\x01t"[..], false, Some("somebody")));
}

#[test]
fn messages_of_peers_that_are_no_subscriptions_are_received_as_they_are() {
    let mut rig = xpub();
    let mut peer = rig.attach("");
    peer.send(&["single"]);
    peer.send(&["two", "parts"]);
    peer.send(&[""]);
    assert_eq!(received(&mut rig), [vec!["single"], vec!["two", "parts"], vec![""]]);
}

#[test]
fn subscriptions_within_a_multipart_message_count_and_leave_its_boundaries_whole() {
    let mut rig = xpub();
    let mut peer = rig.attach("");
    peer.send(&[add("t"), b"data".to_vec()]);
    assert_eq!(received(&mut rig), [[add("t")], [b"data".to_vec()]]);
    // The part that would end the message is a repeated subscription and not received.
    peer.send(&[b"cut".to_vec(), add("t")]);
    peer.send(&["next"]);
    assert_eq!(received(&mut rig), [["cut"], ["next"]]);
    rig.send(&["t"]).unwrap();
    assert_eq!(peer.receive(), ["t"]);
}

#[test]
fn manual_mode_leaves_subscriptions_to_the_application() {
    let mut rig = xpub();
    rig.configure(|options| options.xpub_manual = true);
    let mut one = subscriber(&mut rig, &["A"]);
    let mut two = subscriber(&mut rig, &["A"]);
    rig.send(&["A"]).unwrap();
    assert!(one.try_receive().is_none() && two.try_receive().is_none());

    assert_eq!(rig.receive().unwrap(), [add("A")]);
    rig.pattern.subscribe(&mut rig.pipes, b"XA", true).unwrap();
    assert_eq!(rig.receive().unwrap(), [add("A")]);
    rig.pattern.subscribe(&mut rig.pipes, b"YA", true).unwrap();
    for message in ["A", "XA", "YA"] {
        rig.send(&[message]).unwrap();
    }
    assert_eq!((all(&mut one), all(&mut two)), (vec![one_part("XA")], vec![one_part("YA")]));

    one.send(&[cancel("A")]);
    assert_eq!(rig.receive().unwrap(), [cancel("A")]);
    rig.send(&["XA"]).unwrap();
    assert_eq!(one.receive(), ["XA"], "the application has not agreed yet");
    rig.pattern.subscribe(&mut rig.pipes, b"XA", false).unwrap();
    rig.send(&["XA"]).unwrap();
    assert!(one.try_receive().is_none());
}

#[test]
fn in_manual_mode_a_peer_that_goes_cancels_what_it_asked_for() {
    let mut rig = xpub();
    rig.configure(|options| options.xpub_manual = true);
    let peer = subscriber(&mut rig, &["A", "B"]);
    let _other = subscriber(&mut rig, &["A"]);
    assert_eq!(received(&mut rig).len(), 3);
    rig.detach(&peer);
    assert_eq!(received(&mut rig), [[cancel("A")], [cancel("B")]]);
}

#[test]
fn an_answer_to_a_peer_that_is_gone_does_not_hold_for_its_successor() {
    let mut rig = xpub();
    rig.configure(|options| options.xpub_manual = true);
    let gone = subscriber(&mut rig, &["A"]);
    assert_eq!(rig.receive().unwrap(), [add("A")]);
    rig.detach(&gone);
    let mut successor = rig.attach("");
    assert_eq!(successor.index(), gone.index());
    rig.pattern.subscribe(&mut rig.pipes, b"", true).unwrap();
    rig.send(&["A"]).unwrap();
    assert!(successor.try_receive().is_none());
    assert_eq!(rig.pattern.topics().unwrap(), 0);
}

#[test]
fn without_manual_mode_publishers_do_not_subscribe() {
    let mut rig = xpub();
    let refused = rig.pattern.subscribe(&mut rig.pipes, b"", true);
    assert!(matches!(refused, Err(Error::InvalidArgument)));
}

#[test]
fn new_subscribers_are_welcomed_ahead_of_all_else() {
    let mut rig = xpub();
    let mut before = rig.attach("");
    rig.configure(|options| options.xpub_welcome_message = b"W".to_vec());
    let mut after = subscriber(&mut rig, &[""]);
    rig.send(&["message"]).unwrap();
    assert!(before.try_receive().is_none());
    assert_eq!(all(&mut after), [["W"], ["message"]]);
    rig.configure(|options| options.xpub_welcome_message.clear());
    assert!(rig.attach("").try_receive().is_none());
}

#[test]
fn without_dropping_a_send_waits_for_the_slowest_and_reaches_nobody_before() {
    let mut rig = xpub();
    rig.configure(|options| options.xpub_nodrop = true);
    let mut quick = subscriber(&mut rig, &[""]);
    rig.hwm = 2;
    let mut slow = subscriber(&mut rig, &["a"]);
    rig.send(&["a1"]).unwrap();
    rig.send(&["a2"]).unwrap();
    for _ in 0..2 {
        assert!(matches!(rig.send(&["a3", "tail"]), Err(Refusal::Blocked)));
    }
    rig.send(&["b"]).unwrap();
    assert_eq!(all(&mut quick), [["a1"], ["a2"], ["b"]]);
    assert_eq!(slow.receive(), ["a1"]);
    rig.send(&["a3", "tail"]).unwrap();
    assert_eq!(all(&mut slow), [vec!["a2"], vec!["a3", "tail"]]);
    assert_eq!(all(&mut quick), [["a3", "tail"]]);
    assert_eq!(rig.dropped(), 0);
}

#[test]
fn inverted_matching_reaches_those_who_did_not_subscribe() {
    let mut rig = publ();
    rig.configure(|options| options.invert_matching = true);
    let mut a = subscriber(&mut rig, &["a"]);
    let mut b = subscriber(&mut rig, &["b"]);
    let mut none = subscriber(&mut rig, &[]);
    rig.send(&["a message"]).unwrap();
    assert!(a.try_receive().is_none());
    assert_eq!((b.receive(), none.receive()), (one_part("a message"), one_part("a message")));
}
