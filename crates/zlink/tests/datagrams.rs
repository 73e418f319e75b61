//! RADIO, DISH and DGRAM over UDP, against each other and against sockets of the system.

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{GUARD, alone, guarded, peak_memory, socket, wait_until};
use zlink::SocketType::{self, Dgram, Dish, Radio};
use zlink::{Context, Error, EventKind, Message, Monitor, Socket};

fn bound_at(context: &Context, socket_type: SocketType, endpoint: &str) -> (Socket, String) {
    let socket = socket(context, socket_type);
    socket.bind(endpoint).expect("bind");
    let endpoint = socket.last_endpoint().expect("endpoint");
    (socket, endpoint)
}

fn dgram(context: &Context) -> (Socket, String) {
    let (socket, endpoint) = bound_at(context, Dgram, "udp://127.0.0.1:*");
    let address = endpoint.strip_prefix("udp://").expect("udp").to_owned();
    (socket, address)
}

fn radio_to(context: &Context, endpoint: &str) -> Socket {
    let radio = socket(context, Radio);
    radio.connect(endpoint).expect("connect");
    radio
}

/// A socket of the system, which tells of no time-out because it waits for none.
fn plain() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_read_timeout(Some(GUARD)).expect("time-out");
    let address = socket.local_addr().expect("address").to_string();
    (socket, address)
}

fn of_group(group: &str, body: impl Into<Message>) -> Message {
    let mut message = body.into();
    message.set_group(group).expect("a group");
    message
}

#[track_caller]
fn hear(dish: &Socket) -> (Vec<u8>, Vec<u8>) {
    let message = dish.recv().expect("a message");
    (message.group().to_vec(), message.to_vec())
}

fn dropped(monitor: &Monitor) -> (u32, String) {
    let event = monitor.recv_timeout(GUARD).expect("an event");
    assert_eq!(event.kind, EventKind::DatagramDropped);
    (event.value, event.endpoint)
}

fn monitor_drops(socket: &Socket) -> Monitor {
    socket.monitor(EventKind::DatagramDropped as u32).expect("monitor")
}

const EINVAL: u32 = 22;
const EPROTO: u32 = 71;
const EMSGSIZE: u32 = 90;
const EADDRINUSE: u32 = 98;

#[test]
fn a_dish_hears_the_groups_it_has_joined() {
    guarded(|| {
        for (own, ipv6) in [("udp://127.0.0.1:*", false), ("udp://[::1]:*", true)] {
            let context = Context::new();
            let dish = socket(&context, Dish);
            dish.set_ipv6(ipv6).unwrap();
            dish.bind(own).unwrap();
            let radio = socket(&context, Radio);
            radio.set_ipv6(ipv6).unwrap();
            radio.connect(&dish.last_endpoint().unwrap()).unwrap();
            dish.join("TV").unwrap();
            let long = "g".repeat(255);
            dish.join(&long).unwrap();
            for (group, body) in
                [("Movies", "no"), ("TV", "1"), ("T", "no"), ("", "no"), (&long, "2"), ("TV", "")]
            {
                radio.send(of_group(group, body)).unwrap();
            }
            let expected = [("TV", "1"), (&long, "2"), ("TV", "")];
            for (group, body) in expected {
                assert_eq!(hear(&dish), (group.into(), body.into()));
            }
            dish.leave("TV").unwrap();
            dish.join("").unwrap();
            radio.send(of_group("TV", "no")).unwrap();
            radio.send("without a group").unwrap();
            assert_eq!(hear(&dish), (Vec::new(), b"without a group".to_vec()));
        }
    });
}

#[test]
fn a_datagram_is_the_groups_length_the_group_and_the_body() {
    guarded(|| {
        let context = Context::new();
        let (peer, address) = plain();
        let radio = radio_to(&context, &format!("udp://{address}"));
        radio.send(of_group("TV", "Friends")).unwrap();
        radio.send("").unwrap();
        let mut buffer = [0; 100];
        let length = peer.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"\x02TVFriends");
        assert_eq!(peer.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], 0);

        let (dish, endpoint) = bound_at(&context, Dish, "udp://127.0.0.1:*");
        dish.join("TV").unwrap();
        peer.send_to(b"\x02TVSeinfeld", endpoint.strip_prefix("udp://").unwrap()).unwrap();
        assert_eq!(hear(&dish), (b"TV".to_vec(), b"Seinfeld".to_vec()));
    });
}

#[test]
fn dgram_sockets_answer_the_address_that_a_message_came_with() {
    guarded(|| {
        let context = Context::new();
        let ((asking, own), (answering, address)) = (dgram(&context), dgram(&context));
        asking.send_multipart([address.as_str(), "question"]).unwrap();
        let question = answering.recv_multipart().unwrap();
        // The NUL is libzmq's.
        assert_eq!(common::parts(&question), [format!("{own}\0").as_bytes(), b"question"]);
        answering.send_multipart([question[0].clone(), Message::from("answer")]).unwrap();
        let answer = asking.recv_multipart().unwrap();
        assert_eq!(common::parts(&answer), [format!("{address}\0").as_bytes(), b"answer"]);

        let (peer, theirs) = plain();
        asking.send_multipart([theirs.as_bytes(), b""]).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from.to_string()), (0, own));
        peer.send_to(b"raw", from).unwrap();
        assert_eq!(common::parts(&asking.recv_multipart().unwrap())[1], b"raw");
    });
}

#[test]
fn dgram_sockets_answer_over_ipv6() {
    guarded(|| {
        let context = Context::new();
        let [(asking, own), (answering, address)] = [(), ()].map(|()| {
            let dgram = socket(&context, Dgram);
            dgram.set_ipv6(true).unwrap();
            dgram.bind("udp://[::1]:*").unwrap();
            let endpoint = dgram.last_endpoint().unwrap();
            (dgram, endpoint.strip_prefix("udp://").expect("udp").to_owned())
        });
        assert!(own.starts_with("[::1]:"), "{own}");
        asking.send_multipart([address.as_str(), "question"]).unwrap();
        let question = answering.recv_multipart().unwrap();
        assert_eq!(common::parts(&question), [format!("{own}\0").as_bytes(), b"question"]);
        answering.send_multipart([question[0].clone(), Message::from("answer")]).unwrap();
        assert_eq!(common::parts(&asking.recv_multipart().unwrap())[1], b"answer");
    });
}

#[test]
fn binding_is_no_event_unless_it_fails() {
    let context = Context::new();
    let dish = socket(&context, Dish);
    let monitor = dish.monitor(EventKind::ALL).unwrap();
    dish.bind("udp://127.0.0.1:*").unwrap();
    let (_plain, used) = plain();
    assert!(dish.bind(&format!("udp://{used}")).is_err());
    let event = monitor.recv_timeout(GUARD).unwrap();
    assert_eq!((event.kind, event.value, event.endpoint), (EventKind::BindFailed, EADDRINUSE, used));
}

#[test]
fn only_the_types_made_for_it_go_over_udp() {
    let context = Context::new();
    for socket_type in SocketType::ALL {
        let Ok(socket) = context.socket(socket_type) else { continue };
        let incompatible = |result| matches!(result, Err(Error::IncompatibleTransport));
        let binds = matches!(socket_type, Dish | Dgram);
        assert_eq!(incompatible(socket.bind("udp://127.0.0.1:*")), !binds, "{socket_type:?}");
        let connects = matches!(socket_type, Radio);
        assert_eq!(incompatible(socket.connect("udp://127.0.0.1:5555")), !connects, "{socket_type:?}");
        if socket_type == Dgram {
            for endpoint in ["tcp://127.0.0.1:5555", "ipc://@dgram", "inproc://dgram"] {
                assert!(incompatible(socket.bind(endpoint)) && incompatible(socket.connect(endpoint)));
            }
        }
    }
}

#[test]
fn bad_datagrams_of_every_length_are_dropped_and_told_of() {
    guarded(|| {
        let context = Context::new();
        let dish = socket(&context, Dish);
        dish.set_receive_hwm(0).unwrap();
        dish.set_receive_buffer(1 << 22).unwrap();
        dish.bind("udp://127.0.0.1:*").unwrap();
        let monitor = monitor_drops(&dish);
        let endpoint = dish.last_endpoint().unwrap();
        dish.join("g").unwrap();
        let (peer, _) = plain();
        let target = endpoint.strip_prefix("udp://").unwrap();
        let mut bad = 0;
        for total in 0..=256usize {
            for group in [0usize, 1, 2, 127, 128, 254, 255] {
                let mut datagram = vec![b'g'; total];
                if let Some(first) = datagram.first_mut() {
                    *first = group as u8;
                }
                peer.send_to(&datagram, target).unwrap();
                if group >= total {
                    bad += 1;
                    assert_eq!(dropped(&monitor), (EPROTO, endpoint.clone()), "{group} of {total}");
                } else if group == 1 {
                    assert_eq!(hear(&dish), (b"g".to_vec(), vec![b'g'; total - 2]));
                }
            }
        }
        assert_eq!((dish.stats().protocol_errors, dish.stats().dropped), (bad, bad));
    });
}

#[test]
fn what_is_longer_than_a_datagram_is_refused_or_dropped_and_told_of() {
    guarded(|| {
        let context = Context::new();
        let ((dgram, _), (peer, address)) = (dgram(&context), plain());
        let mut buffer = vec![0; 1 << 16];
        for length in [65_507, 65_508, 1 << 20] {
            dgram.send_more(address.as_str()).unwrap();
            let sent = dgram.send(vec![b'x'; length]);
            if length == 65_507 {
                sent.unwrap();
                assert_eq!(peer.recv(&mut buffer).unwrap(), length);
            } else {
                let failed = sent.unwrap_err();
                assert!(matches!(failed.error, Error::MessageTooLong) && failed.message.len() == length);
                dgram.send("shorter").unwrap();
                assert_eq!(peer.recv(&mut buffer).unwrap(), 7);
            }
        }

        let endpoint = format!("udp://{address}");
        let radio = radio_to(&context, &endpoint);
        let monitor = monitor_drops(&radio);
        let failed = radio.send(of_group("TV", vec![b'x'; 65_508])).unwrap_err();
        assert!(matches!(failed.error, Error::MessageTooLong));
        // With its group it is too long.
        radio.send(of_group("TV", vec![b'x'; 65_505])).unwrap();
        assert_eq!(dropped(&monitor), (EMSGSIZE, endpoint.clone()));
        radio.send(of_group("TV", vec![b'x'; 65_504])).unwrap();
        assert_eq!(peer.recv(&mut buffer).unwrap(), 65_507);
        assert_eq!(radio.stats().dropped, 1);
        radio.disconnect(&endpoint).unwrap();
        radio.send(of_group("TV", vec![b'x'; 1 << 20])).unwrap();
    });
}

#[test]
fn a_message_longer_than_allowed_is_dropped_and_told_of() {
    guarded(|| {
        let context = Context::new();
        let dish = socket(&context, Dish);
        dish.set_max_message_size(3).unwrap();
        dish.bind("udp://127.0.0.1:*").unwrap();
        let monitor = monitor_drops(&dish);
        let endpoint = dish.last_endpoint().unwrap();
        dish.join("").unwrap();
        let radio = radio_to(&context, &endpoint);
        radio.send("four").unwrap();
        radio.send("yes").unwrap();
        assert_eq!(hear(&dish).1, b"yes");
        assert_eq!(dropped(&monitor), (EMSGSIZE, endpoint));
        assert_eq!(dish.stats().oversized_messages, 1);
    });
}

#[test]
fn what_goes_and_comes_in_datagrams_is_counted() {
    guarded(|| {
        let context = Context::new();
        let (dish, endpoint) = bound_at(&context, Dish, "udp://127.0.0.1:*");
        dish.join("TV").unwrap();
        let radio = radio_to(&context, &endpoint);
        for body in ["one", "three"] {
            radio.send(of_group("TV", body)).unwrap();
            assert_eq!(hear(&dish).1, body.as_bytes());
        }
        wait_until("all is counted", || radio.stats().messages_written == 2);
        // With the group and its length.
        let (sent, received) = (radio.stats(), dish.stats());
        assert_eq!((sent.bytes_written, sent.io_thread_writes), (3 + 3 + 3 + 5, 2));
        assert_eq!((received.messages_read, received.bytes_read), (2, sent.bytes_written));
        let peers = radio.peer_stats().unwrap();
        assert_eq!((peers.len(), &peers[0].remote, peers[0].counters), (1, &endpoint, sent));
    });
}

#[test]
fn an_address_that_is_none_loses_its_message_alone() {
    guarded(|| {
        let context = Context::new();
        let ((dgram, own), (peer, address)) = (dgram(&context), plain());
        let monitor = monitor_drops(&dgram);
        for wrong in ["", "nobody", "127.0.0.1", "127.0.0.1:0", "localhost:5555", "\u{0}"] {
            dgram.send_multipart([wrong, "lost"]).unwrap();
            assert_eq!(dropped(&monitor), (EINVAL, format!("udp://{own}")), "{wrong:?}");
        }
        assert!(matches!(dgram.send("no address").unwrap_err().error, Error::InvalidArgument));
        dgram.send_more(address.as_str()).unwrap();
        assert!(matches!(dgram.send_more("three parts").unwrap_err().error, Error::InvalidArgument));
        dgram.send("kept").unwrap();
        let mut buffer = [0; 100];
        let length = peer.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"kept");
    });
}

#[test]
fn reading_stops_at_the_high_water_mark_and_goes_on() {
    guarded(|| {
        let context = Context::new();
        let dish = socket(&context, Dish);
        dish.set_receive_hwm(2).unwrap();
        dish.bind("udp://127.0.0.1:*").unwrap();
        dish.join("").unwrap();
        let radio = radio_to(&context, &dish.last_endpoint().unwrap());
        for round in 0..20 {
            // What does not fit here waits in the kernel.
            for number in 0..10 {
                radio.send(format!("{round} {number}").as_str()).unwrap();
            }
            for number in 0..10 {
                assert_eq!(hear(&dish).1, format!("{round} {number}").as_bytes());
            }
        }
    });
}

#[test]
fn a_flood_that_nobody_reads_takes_no_memory() {
    alone("a_flood_that_nobody_reads_takes_no_memory", || {
        let context = Context::new();
        let (dish, endpoint) = bound_at(&context, Dish, "udp://127.0.0.1:*");
        dish.join("g").unwrap();
        let (peer, _) = plain();
        let target = endpoint.strip_prefix("udp://").unwrap().to_owned();
        let flood = |rounds| {
            let (mut wanted, mut cut) = (vec![b'g'; 1400], vec![b'x'; 200]);
            (wanted[0], cut[0]) = (1, 255);
            for _ in 0..rounds {
                for datagram in [&wanted, &cut, &Vec::new()] {
                    peer.send_to(datagram, &target).unwrap();
                }
            }
        };
        flood(20_000);
        let before = peak_memory();
        flood(100_000);
        let grown = peak_memory() - before;
        assert!(grown < 8 << 10, "{grown} KiB more");
        // It still hears; the flood's rest comes first.
        let (other, theirs) = plain();
        drop(theirs);
        let mut heard = false;
        while !heard {
            other.send_to(b"\x01gstill there", &target).unwrap();
            while let Ok(message) = dish.try_recv() {
                heard |= *message == *b"still there";
            }
        }
    });
}

#[test]
fn what_was_sent_goes_out_after_the_close() {
    guarded(|| {
        let context = Context::new();
        let (peer, address) = plain();
        let radio = radio_to(&context, &format!("udp://{address}"));
        radio.set_linger(Some(GUARD)).unwrap();
        for number in 0..20u8 {
            radio.send(vec![number]).unwrap();
        }
        radio.close();
        context.terminate();
        let mut buffer = [0; 100];
        for number in 0..20 {
            assert_eq!(peer.recv(&mut buffer).unwrap(), 2);
            assert_eq!(buffer[..2], [0, number]);
        }
    });
}

#[test]
fn unbinding_gives_the_port_back_and_disconnecting_ends_the_sending() {
    guarded(|| {
        let context = Context::new();
        let (dish, endpoint) = bound_at(&context, Dish, "udp://127.0.0.1:*");
        let address = endpoint.strip_prefix("udp://").unwrap();
        assert_eq!(UdpSocket::bind(address).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        dish.unbind(&endpoint).unwrap();
        assert!(matches!(dish.unbind(&endpoint), Err(Error::NoSuchEndpoint)));
        wait_until("the port is free", || UdpSocket::bind(address).is_ok());

        let (peer, address) = plain();
        let endpoint = format!("udp://{address}");
        let radio = radio_to(&context, &endpoint);
        radio.send("heard").unwrap();
        let mut buffer = [0; 100];
        assert_eq!(peer.recv(&mut buffer).unwrap(), 6);
        radio.disconnect(&endpoint).unwrap();
        assert!(matches!(radio.disconnect(&endpoint), Err(Error::NoSuchEndpoint)));
        radio.send("not heard").unwrap();
        radio.connect(&endpoint).unwrap();
        radio.send("again").unwrap();
        assert_eq!(peer.recv(&mut buffer).unwrap(), 6);
        assert_eq!(&buffer[1..6], b"again");
    });
}

#[test]
fn a_second_endpoint_of_a_dgram_is_not_used() {
    guarded(|| {
        let context = Context::new();
        let (dgram, first) = dgram(&context);
        dgram.bind("udp://127.0.0.1:*").unwrap();
        let (peer, address) = plain();
        dgram.send_multipart([address.as_str(), "from the first"]).unwrap();
        let (length, from) = peer.recv_from(&mut [0; 100]).unwrap();
        assert_eq!((length, from.to_string()), (14, first));
    });
}

#[test]
fn a_radio_reaches_peers_over_udp_and_tcp_alike() {
    guarded(|| {
        let context = Context::new();
        let (near, endpoint) = bound_at(&context, Dish, "udp://127.0.0.1:*");
        let radio = radio_to(&context, &endpoint);
        radio.bind("tcp://127.0.0.1:*").unwrap();
        let far = socket(&context, Dish);
        far.join("a").unwrap();
        far.connect(&radio.last_endpoint().unwrap()).unwrap();
        near.join("a").unwrap();
        near.join("b").unwrap();
        far.set_receive_timeout(Some(Duration::from_millis(1))).unwrap();
        // The join takes its time.
        while far.recv().is_err() {
            radio.send(of_group("a", "joined?")).unwrap();
        }
        radio.send(of_group("b", "1")).unwrap();
        radio.send(of_group("a", "2")).unwrap();
        far.set_receive_timeout(Some(GUARD)).unwrap();
        let last_of = |dish: &Socket| {
            let mut heard = Vec::new();
            loop {
                let message = hear(dish);
                let end = message.1 == b"2";
                heard.push(message);
                if end {
                    break heard;
                }
            }
        };
        assert!(last_of(&near).contains(&(b"b".to_vec(), b"1".to_vec())));
        assert!(last_of(&far).iter().all(|(group, _)| group == b"a"));
    });
}
