//! RADIO and DISH of either library: who gets what, as groups are joined and left, and after the connection was
//! lost.

use std::time::{Duration, Instant};

use zlink::SocketType::{Dish, Radio};
use zlink_interop::{GUARD, Label, Library, Node, Place, Transport};

/// Time in which a message that is there arrives in nearly every case. Missing it costs a repetition.
const SOON: Duration = Duration::from_millis(5);

fn of_group(group: &[u8]) -> Label {
    Label { routing_id: 0, group: group.to_vec() }
}

/// Sends to `group` until something arrives, and takes all of it.
#[track_caller]
fn until_heard(radio: &mut Node, dish: &mut Node, group: &[u8]) {
    let limit = Instant::now() + GUARD;
    loop {
        radio.send_labelled(&of_group(group), b"heard?");
        if dish.recv_within(SOON).is_some() {
            break;
        }
        assert!(Instant::now() < limit, "{radio} to {dish}: nothing arrives");
    }
    radio.send_labelled(&of_group(group), b"heard.");
    while dish.recv() != [b"heard."] {}
}

/// Sends a message to each group, the last of which is joined; returns those from which it arrives.
fn arriving<'a>(radio: &mut Node, dish: &mut Node, groups: &[&'a [u8]]) -> Vec<&'a [u8]> {
    for group in groups {
        radio.send_labelled(&of_group(group), group);
    }
    let mut arrived = Vec::new();
    while arrived.last() != groups.last() {
        let (label, body) = dish.recv_labelled();
        assert_eq!(label.group, body, "{dish}: a message of another group");
        arrived.push(*groups.iter().find(|group| **group == body).expect("a group that was sent to"));
    }
    arrived
}

fn sides(test: impl Fn(Node, Node, Transport)) {
    for library in Library::BOTH {
        for transport in Transport::ALL {
            let (mut radio, mut dish) = (Node::new(library, Radio), Node::new(library.other(), Dish));
            radio.set_unlimited();
            dish.set_unlimited();
            test(radio, dish, transport);
        }
    }
}

#[test]
fn messages_come_from_the_groups_that_are_joined() {
    sides(|mut radio, mut dish, transport| {
        let long = [b'x'; 255];
        let all: [&[u8]; 6] = [b"b", b"bb", b"", &long[..254], &long, b"end"];
        dish.join(b"");
        dish.join(b"end");
        let endpoint = radio.bind(transport.wildcard());
        dish.connect(&endpoint);
        until_heard(&mut radio, &mut dish, b"end");
        assert_eq!(arriving(&mut radio, &mut dish, &all), [&b""[..], b"end"]);

        dish.join(&long);
        dish.join(b"b");
        until_heard(&mut radio, &mut dish, b"b");
        assert_eq!(arriving(&mut radio, &mut dish, &all), [b"b", &b""[..], &long, b"end"]);

        dish.leave(b"b");
        dish.leave(b"");
        dish.join(b"left");
        until_heard(&mut radio, &mut dish, b"left");
        assert_eq!(arriving(&mut radio, &mut dish, &all), [&long[..], b"end"]);
    });
}

#[test]
fn a_dish_joins_again_after_its_radio_was_gone() {
    sides(|mut radio, mut dish, transport| {
        let place = Place::new(transport);
        dish.set_int(zlink_interop::option::RECONNECT_IVL, 1);
        dish.join(b"left");
        dish.join(b"a");
        radio.bind(place.endpoint());
        dish.connect(place.endpoint());
        until_heard(&mut radio, &mut dish, b"a");
        let library = if radio.zlink().is_some() { Library::Zlink } else { Library::Libzmq };
        drop(radio);
        dish.leave(b"left");
        dish.join(b"b");
        let mut radio = Node::new(library, Radio);
        radio.set_unlimited();
        radio.bind(place.endpoint());
        until_heard(&mut radio, &mut dish, b"a");
        until_heard(&mut radio, &mut dish, b"b");
        assert_eq!(arriving(&mut radio, &mut dish, &[b"left", b"b", b"a"]), [b"b", b"a"]);
    });
}
