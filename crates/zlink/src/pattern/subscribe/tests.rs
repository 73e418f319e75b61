//! SUB and XSUB by their rules.

use std::collections::BTreeSet;

use proptest::prelude::*;
use zlink_pipe::BY_REFERENCE;

use super::*;
use crate::pattern::testing::{Parts, Peer, Rig};

fn sub() -> Rig {
    Rig::new(Box::new(Subscriber::subscribe()))
}

fn xsub() -> Rig {
    Rig::new(Box::new(Subscriber::extended()))
}

fn add(topic: &str) -> Vec<u8> {
    [&[1], topic.as_bytes()].concat()
}

fn cancel(topic: &str) -> Vec<u8> {
    [&[0], topic.as_bytes()].concat()
}

fn subscribe(rig: &mut Rig, topic: impl AsRef<[u8]>, add: bool) {
    rig.deliver();
    rig.pattern.subscribe(&mut rig.pipes, topic.as_ref(), add).unwrap();
}

fn all(peer: &mut Peer) -> Vec<Parts> {
    std::iter::from_fn(|| peer.try_receive()).collect()
}

#[test]
fn every_cancellation_is_sent_if_so_asked() {
    for verbose in [false, true] {
        let mut rig = xsub();
        rig.configure(|options| options.xsub_verbose_unsubscribe = verbose);
        let mut peer = rig.attach("");
        for part in [add("a"), add("a"), cancel("a"), cancel("a"), cancel("never")] {
            rig.send(&[part]).unwrap();
        }
        assert_eq!(all(&mut peer).len(), if verbose { 5 } else { 3 });
        assert_eq!(rig.pattern.topics().unwrap(), 0);
    }
}

#[test]
fn only_a_message_that_begins_with_a_subscription_has_subscriptions_if_so_asked() {
    let mut rig = xsub();
    rig.configure(|options| options.only_first_subscribe = true);
    let mut peer = rig.attach("");
    rig.send(&[b"data".to_vec(), add("a")]).unwrap();
    assert_eq!((rig.pattern.topics().unwrap(), all(&mut peer).len()), (0, 1));
    rig.send(&[add("b"), b"data".to_vec(), add("c")]).unwrap();
    rig.send(&[add("d")]).unwrap();
    assert_eq!((rig.pattern.topics().unwrap(), all(&mut peer).len()), (3, 2));
}

/// What a publisher has been told, in no particular order.
fn told(peer: &mut Peer) -> BTreeSet<Vec<u8>> {
    all(peer).into_iter().flat_map(|message| message.0).collect()
}

#[test]
fn a_subscription_goes_to_publishers_that_are_there_and_to_those_that_come() {
    let mut rig = sub();
    let mut early = rig.attach("");
    subscribe(&mut rig, "a", true);
    subscribe(&mut rig, "b", true);
    assert_eq!(all(&mut early), [[add("a")], [add("b")]]);
    let mut late = rig.attach("");
    assert_eq!(told(&mut late), BTreeSet::from([add("a"), add("b")]));
    assert_eq!(rig.pattern.topics().unwrap(), 2);
}

#[test]
fn subscriptions_are_counted_and_the_last_cancellation_is_sent() {
    let mut rig = sub();
    let mut peer = rig.attach("");
    for _ in 0..2 {
        subscribe(&mut rig, "t", true);
    }
    // An XPUB may want to know of repeated subscriptions: all are sent.
    assert_eq!(all(&mut peer), [[add("t")], [add("t")]]);
    let mut other = rig.attach("");
    assert_eq!(all(&mut other), [[add("t")]], "a newcomer is told once");
    subscribe(&mut rig, "t", false);
    subscribe(&mut rig, "unknown", false);
    assert_eq!(all(&mut peer).len(), 0);
    peer.send(&["t still"]);
    assert_eq!(rig.receive().unwrap(), ["t still"]);
    subscribe(&mut rig, "t", false);
    assert_eq!(all(&mut peer), [[cancel("t")]]);
    subscribe(&mut rig, "t", false);
    assert_eq!(all(&mut peer).len(), 0);
    assert_eq!(rig.pattern.topics().unwrap(), 0);
}

#[test]
fn sub_does_not_send() {
    let mut rig = sub();
    let mut peer = rig.attach("");
    assert!(!rig.can_send());
    assert!(
        matches!(rig.send(&[add("t")]), Err(refusal) if matches!(refusal.error(), Some(Error::NotSupported)))
    );
    assert!(peer.try_receive().is_none());
}

#[test]
fn xsub_subscribes_by_sending_only() {
    let mut rig = xsub();
    assert!(rig.can_send());
    let refused = rig.pattern.subscribe(&mut rig.pipes, b"t", true);
    assert!(matches!(refused, Err(Error::InvalidArgument)));
}

#[test]
fn sub_drops_messages_it_is_not_subscribed_to_with_all_their_parts() {
    let mut rig = sub();
    let mut peer = rig.attach("");
    subscribe(&mut rig, "yes", true);
    peer.send(&["no", "yes", "yes"]);
    peer.send(&["yes 1", "no", "no"]);
    peer.send(&["no"]);
    peer.send(&["ye"]);
    peer.send(&["yes 2"]);
    peer.send(&["no", "more"]);
    assert_eq!(rig.receive().unwrap(), ["yes 1", "no", "no"]);
    assert!(rig.can_receive());
    assert_eq!(rig.receive().unwrap(), ["yes 2"]);
    assert!(!rig.can_receive());
    assert!(matches!(rig.receive(), Err(Refusal::Blocked)));
}

#[test]
fn a_poll_between_parts_leaves_the_rest_of_the_message() {
    let mut rig = sub();
    let mut peer = rig.attach("");
    subscribe(&mut rig, "a", true);
    peer.send(&["a", "b", "c"]);
    for part in ["a", "b", "c"] {
        assert!(rig.can_receive());
        let (message, more) = rig.receive_part().unwrap();
        assert_eq!((&*message, more), (part.as_bytes(), part != "c"));
    }
    assert!(!rig.can_receive());
}

#[test]
fn a_subscriber_without_subscriptions_receives_nothing() {
    let mut rig = sub();
    let mut peer = rig.attach("");
    peer.send(&["a"]);
    peer.send(&[""]);
    assert!(!rig.can_receive());
    subscribe(&mut rig, "", true);
    peer.send(&[""]);
    assert_eq!(rig.receive().unwrap(), [""]);
}

#[test]
fn inverted_sub_receives_what_it_is_not_subscribed_to() {
    let mut rig = sub();
    rig.configure(|options| options.invert_matching = true);
    let mut peer = rig.attach("");
    subscribe(&mut rig, "a", true);
    peer.send(&["a1"]);
    peer.send(&["b1"]);
    assert_eq!(rig.receive().unwrap(), ["b1"]);
    assert!(!rig.can_receive());
}

#[test]
fn xsub_receives_whatever_publishers_send_in_turn() {
    let mut rig = xsub();
    let (mut one, mut two) = (rig.attach(""), rig.attach(""));
    one.send(&["1a", "1b"]);
    one.send(&["1c"]);
    two.send(&["2a"]);
    assert_eq!(rig.receive().unwrap(), ["1a", "1b"]);
    assert_eq!(rig.receive().unwrap(), ["2a"]);
    assert_eq!(rig.receive().unwrap(), ["1c"]);
    assert!(!rig.can_receive());
}

#[test]
fn a_publisher_that_goes_in_the_middle_of_a_message_leaves_the_filter_in_order() {
    let mut rig = sub();
    let (mut leaving, mut staying) = (rig.attach(""), rig.attach(""));
    subscribe(&mut rig, "a", true);
    leaving.send(&["a", "rest"]);
    rig.deliver();
    assert!(rig.receive_part().unwrap().1);
    rig.detach(&leaving);
    staying.send(&["no", "a"]);
    staying.send(&["a whole"]);
    assert_eq!(rig.receive().unwrap(), ["a whole"]);
}

#[test]
fn xsub_sends_subscriptions_and_other_messages_to_all_publishers() {
    let mut rig = xsub();
    let (mut one, mut two) = (rig.attach(""), rig.attach(""));
    rig.send(&[add("t")]).unwrap();
    rig.send(&[add("t")]).unwrap();
    rig.send(&["user", "data"]).unwrap();
    rig.send(&[cancel("t")]).unwrap();
    rig.send(&[cancel("t")]).unwrap();
    rig.send(&[cancel("t")]).unwrap();
    rig.send(&[""]).unwrap();
    for peer in [&mut one, &mut two] {
        assert_eq!(peer.receive(), [add("t")]);
        assert_eq!(peer.receive(), [add("t")]);
        assert_eq!(peer.receive(), ["user", "data"]);
        assert_eq!(peer.receive(), [cancel("t")]);
        assert_eq!(peer.receive(), [""]);
        assert!(peer.try_receive().is_none());
    }
}

#[test]
fn a_subscription_within_a_multipart_message_is_sent_in_it_and_counts() {
    let mut rig = xsub();
    let mut one = rig.attach("");
    rig.send(&[add("t"), b"data".to_vec(), add("u")]).unwrap();
    assert_eq!(one.receive(), [add("t"), b"data".to_vec(), add("u")]);
    let mut two = rig.attach("");
    assert_eq!(told(&mut two), BTreeSet::from([add("t"), add("u")]));
    // A cancellation that is not the last is not sent, wherever it stands; the message ends all the same.
    rig.send(&[add("t")]).unwrap();
    assert_eq!(one.receive(), [add("t")]);
    rig.send(&[b"data".to_vec(), cancel("t")]).unwrap();
    rig.send(&[cancel("unknown"), b"next".to_vec()]).unwrap();
    assert_eq!(all(&mut one), [vec!["data", ""], vec!["next"]]);
}

#[test]
fn a_publisher_that_comes_in_the_middle_of_a_message_learns_of_subscriptions_in_the_rest() {
    let mut rig = xsub();
    let mut one = rig.attach("");
    rig.send_part("data", true).unwrap();
    let mut two = rig.attach("");
    rig.send_part(add("t"), false).unwrap();
    assert_eq!(one.receive(), [b"data".to_vec(), add("t")]);
    assert_eq!(all(&mut two), [[add("t")]]);
}

#[test]
fn subscriptions_that_find_a_full_pipe_are_sent_when_it_has_room() {
    let mut rig = sub();
    rig.hwm = 2;
    let mut peer = rig.attach("");
    for topic in ["a", "b", "c", "d", "e"] {
        subscribe(&mut rig, topic, true);
    }
    // Of a topic only the last word is kept.
    subscribe(&mut rig, "d", false);
    subscribe(&mut rig, "a", false);
    let mut words = Vec::new();
    for _ in 0..10 {
        words.extend(all(&mut peer));
        rig.deliver();
    }
    assert_eq!(words, [[add("a")], [add("b")], [cancel("a")], [add("c")], [cancel("d")], [add("e")]]);
    subscribe(&mut rig, "f", true);
    assert_eq!(all(&mut peer), [[add("f")]]);
    assert_eq!(rig.dropped(), 0);
}

#[test]
fn a_publisher_is_told_all_subscriptions_at_attach_however_many_there_are() {
    let mut rig = sub();
    for i in 0..500 {
        subscribe(&mut rig, format!("topic {i}"), true);
    }
    rig.hwm = 10;
    let mut peer = rig.attach("");
    let mut topics = BTreeSet::new();
    loop {
        let some = told(&mut peer);
        if some.is_empty() {
            break;
        }
        topics.extend(some);
        rig.deliver();
    }
    assert_eq!(topics, (0..500).map(|i| add(&format!("topic {i}"))).collect());
}

#[test]
fn data_that_finds_a_full_pipe_is_dropped_for_that_publisher() {
    let mut rig = xsub();
    rig.hwm = 1;
    let mut full = rig.attach("");
    rig.hwm = 10;
    let mut free = rig.attach("");
    rig.send(&["1"]).unwrap();
    rig.send(&["2", "tail"]).unwrap();
    assert_eq!(rig.dropped(), 1);
    assert_eq!((all(&mut full).len(), all(&mut free).len()), (1, 2));
    rig.send(&["3"]).unwrap();
    assert_eq!(full.receive(), ["3"]);
}

#[test]
fn a_reconnected_publisher_is_told_everything_again_but_the_first_connection_only_once() {
    let mut rig = sub();
    subscribe(&mut rig, "a", true);
    let mut peer = rig.attach_unconnected();
    rig.connected(&peer, "");
    assert_eq!(all(&mut peer), [[add("a")]]);

    rig.disconnected(&peer);
    subscribe(&mut rig, "b", true);
    rig.connected(&peer, "");
    assert_eq!(told(&mut peer), BTreeSet::from([add("a"), add("b")]));
    subscribe(&mut rig, "c", true);
    assert_eq!(all(&mut peer), [[add("c")]]);
    rig.disconnected(&peer);
    subscribe(&mut rig, "a", false);
    rig.connected(&peer, "");
    assert_eq!(told(&mut peer), BTreeSet::from([cancel("a"), add("b"), add("c")]));
}

#[test]
fn a_large_topic_reaches_every_publisher() {
    let mut rig = xsub();
    let mut peers: Vec<Peer> = (0..3).map(|_| rig.attach("")).collect();
    let topic = "x".repeat(BY_REFERENCE);
    rig.send(&[add(&topic)]).unwrap();
    for peer in peers.iter_mut().chain([&mut rig.attach("")]) {
        assert_eq!(peer.receive(), [add(&topic)]);
    }
    rig.send(&[cancel(&topic)]).unwrap();
    for peer in &mut peers {
        assert_eq!(peer.receive(), [cancel(&topic)]);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(u8, bool),
    Read(usize),
    Deliver,
    Lose,
    Connect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5u8, any::<bool>()).prop_map(|(topic, add)| Step::Subscribe(topic, add)),
        2 => (1..4usize).prop_map(Step::Read),
        2 => Just(Step::Deliver),
        1 => Just(Step::Lose),
        1 => Just(Step::Connect),
    ]
}

proptest! {
    /// Whatever order things happen in, a publisher with little room ends up knowing what is subscribed to.
    #[test]
    fn a_publisher_ends_up_with_the_subscribers_topics(steps in prop::collection::vec(step(), 0..100)) {
        let mut rig = sub();
        rig.hwm = 2;
        let mut peer = rig.attach_unconnected();
        rig.connected(&peer, "");
        let (mut counts, mut known, mut up) = ([0usize; 5], BTreeSet::new(), true);
        let learn = |peer: &mut Peer, known: &mut BTreeSet<u8>| {
            let message = peer.try_receive()?;
            if message.0[0][0] == 1 {
                known.insert(message.0[0][1]);
            } else {
                known.remove(&message.0[0][1]);
            }
            Some(())
        };
        for step in steps.into_iter().chain([Step::Connect]) {
            match step {
                Step::Subscribe(topic, add) => {
                    rig.pattern.subscribe(&mut rig.pipes, &[topic], add).unwrap();
                    let count = &mut counts[usize::from(topic)];
                    *count = if add { *count + 1 } else { count.saturating_sub(1) };
                }
                Step::Read(n) if up => {
                    (0..n).try_for_each(|_| learn(&mut peer, &mut known));
                }
                Step::Deliver => rig.deliver(),
                Step::Lose if up => {
                    rig.disconnected(&peer);
                    (known, up) = (BTreeSet::new(), false);
                }
                Step::Connect if !up => {
                    rig.connected(&peer, "");
                    up = true;
                }
                Step::Read(_) | Step::Lose | Step::Connect => {}
            }
        }
        rig.deliver();
        while learn(&mut peer, &mut known).is_some() {
            rig.deliver();
        }
        let expected = (0..5u8).filter(|&topic| counts[usize::from(topic)] > 0).collect();
        prop_assert_eq!(known, expected);
        prop_assert!(rig.pattern.topics().is_ok_and(|topics| topics == counts.iter().filter(|&&n| n > 0).count()));
    }
}
