//! Floods of peers that nobody lets in: what they leave behind is bounded, and good peers are served on (the class of
//! CVE-2020-15166).

mod common;

use std::io::Write;

use common::zap::{Handler, reply};
use common::{RawStream, Resources, Transport, command, greeting, monitor, ready, socket, wait_until, zap};
use zlink::{Context, Error, EventKind, Socket, SocketType};

alone_over_tcp_and_ipc! {
    strangers_that_are_refused_leave_nothing_behind,
    strangers_that_stay_half_way_disturb_nobody,
    a_handler_that_does_not_look_finds_nothing_of_those_who_are_gone,
}

/// A PULL server of PLAIN, or of NULL with a domain, with a good peer.
struct Server {
    pull: Socket,
    good: Socket,
    endpoint: String,
    sent: u32,
}

impl Server {
    fn new(context: &Context, plain: bool, transport: Transport) -> Self {
        let pull = socket(context, SocketType::Pull);
        pull.set_plain_server(plain).expect("option");
        pull.set_zap_domain("global").expect("option");
        pull.set_backlog(4096).expect("option");
        pull.bind(transport.wildcard()).expect("bind");
        let endpoint = pull.last_endpoint().expect("endpoint");
        let good = socket(context, SocketType::Push);
        if plain {
            good.set_plain_username("good").expect("option");
        }
        good.connect(&endpoint).expect("connect");
        Server { pull, good, endpoint, sent: 0 }
    }

    /// The good peer is served, and nothing else has come.
    fn check(&mut self) {
        for _ in 0..3 {
            self.sent += 1;
            self.good.send(&self.sent.to_be_bytes()[..]).expect("send");
            let message = self.pull.recv().expect("recv");
            assert_eq!((&*message, message.property("User-Id")), (&self.sent.to_be_bytes()[..], Some("joe")));
        }
    }
}

/// What a stranger says to a server of PLAIN: its greeting, HELLO, and as if it were welcome already.
fn plain_stranger() -> [Vec<u8>; 2] {
    let mut greeting = greeting();
    greeting[12..17].copy_from_slice(b"PLAIN");
    let hello = command(b"\x05HELLO\x08stranger\x06secret");
    [[greeting, hello].concat(), command(b"\x08INITIATE\x0bSocket-Type\0\0\0\x04PUSH")]
}

/// And to one of NULL, with a message.
fn null_stranger() -> [Vec<u8>; 2] {
    [[greeting(), ready("PUSH")].concat(), b"\0\x06sneaky".to_vec()]
}

fn strangers_that_are_refused_leave_nothing_behind(transport: Transport) {
    for plain in [true, false] {
        let context = Context::new();
        let mut welcome = 1;
        let handler = Handler::start(&context, move |request| {
            // The first NULL peer is the good one.
            let good = if plain { request[6] == b"good" } else { std::mem::take(&mut welcome) == 1 };
            reply(if good { "200" } else { "400" }, "joe", b"")
        });
        let mut server = Server::new(&context, plain, transport);
        server.check();
        let [opening, rest] = if plain { plain_stranger() } else { null_stranger() };
        let mut asked = 0;
        let mut flood = |server: &mut Server, count: usize| {
            for i in 0..count {
                let mut stream = RawStream::connect(&server.endpoint);
                match i % 4 {
                    // Gone before the verdict, or with it, or cut short; or refused in order.
                    0 => stream.write_as_far_as_possible(&opening),
                    1 => stream.write_as_far_as_possible(&[&opening[..], &rest].concat()),
                    2 => stream.write_as_far_as_possible(&opening[..i % opening.len()]),
                    _ => {
                        stream.write_as_far_as_possible(&opening);
                        stream.read_to_close();
                    }
                }
                if i % 50 == 0 {
                    server.check();
                    asked += handler.requests();
                }
            }
            server.check();
        };
        flood(&mut server, 400);
        let before = Resources::now();
        flood(&mut server, 2000);
        wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 4);
        let grown = Resources::now().memory.saturating_sub(before.memory);
        assert!(grown < 1000, "{grown} KiB for 2000 strangers");
        assert!(asked > 500, "the handler was asked about {asked}");
        drop(server);
        context.shutdown();
        handler.join();
        context.terminate();
    }
}

fn strangers_that_stay_half_way_disturb_nobody(transport: Transport) {
    for plain in [true, false] {
        let context = Context::new();
        let handler = socket(&context, SocketType::Router);
        handler.bind(zap::ENDPOINT).expect("bind");
        let mut server = Server::new(&context, plain, transport);
        // The handler answers the good peer and nobody else.
        let question = handler.recv_multipart().expect("a question");
        let mut answer = vec![question[0].to_vec(), Vec::new()];
        answer.extend(reply("200", "joe", b""));
        handler.send_multipart(answer).expect("send");
        server.check();
        let [opening, rest] = if plain { plain_stranger() } else { null_stranger() };
        let before = Resources::now();
        let mut strangers = Vec::new();
        for i in 0..400 {
            let mut stream = RawStream::connect(&server.endpoint);
            match i % 3 {
                0 => stream.write_all(&opening).expect("write"),
                1 => stream.write_all(&opening[..i % opening.len()]).expect("write"),
                _ => stream.write_as_far_as_possible(&[&opening[..], &rest].concat()),
            }
            strangers.push(stream);
            if i % 20 == 0 {
                server.check();
            }
        }
        for _ in 0..50 {
            server.check();
        }
        drop(strangers);
        wait_until("descriptors are closed", || Resources::now().descriptors <= before.descriptors + 4);
        server.check();
    }
}

fn a_handler_that_does_not_look_finds_nothing_of_those_who_are_gone(transport: Transport) {
    let context = Context::new();
    let handler = socket(&context, SocketType::Rep);
    handler.bind(zap::ENDPOINT).expect("bind");
    let server = socket(&context, SocketType::Pull);
    server.set_plain_server(true).expect("option");
    server.set_backlog(4096).expect("option");
    server.bind(transport.wildcard()).expect("bind");
    let endpoint = server.last_endpoint().expect("endpoint");
    let events = monitor(&server);
    let [opening, rest] = plain_stranger();
    let flood = |count: usize| {
        for _ in 0..count {
            // The server closes once it has seen that the peer does not wait.
            let mut stream = RawStream::connect(&endpoint);
            stream.write_as_far_as_possible(&[&opening[..], &rest].concat());
            stream.read_to_close();
            events.wait_for(&[EventKind::HandshakeFailedProtocol]);
            events.wait_for(&[EventKind::Disconnected]);
            // One that goes while its question is unread.
            let mut stream = RawStream::connect(&endpoint);
            stream.write_all(&opening).expect("write");
            drop(stream);
            events.wait_for(&[EventKind::HandshakeFailedNoDetail]);
            // The question is taken back before this is told.
            events.wait_for(&[EventKind::Disconnected]);
        }
    };
    flood(100);
    let before = Resources::now();
    flood(500);
    let grown = Resources::now().memory.saturating_sub(before.memory);
    assert!(grown < 500, "{grown} KiB for 1000 strangers");
    match handler.try_recv() {
        Err(Error::WouldBlock) => {}
        other => panic!("{other:?}"),
    }
}
