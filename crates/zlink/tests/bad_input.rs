//! Peers that break the protocol, stall, flood or vanish: their connection ends, everybody else is served on, and
//! memory is bounded by what arrived.

mod common;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    RawPeer, RawStream, Resources, Transport, body, bound, command, connected, cpu_time, frame, greeting,
    long_frame, monitor, parts, peak_memory, ready, socket, wait_until,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zlink::{Context, Error, EventKind, Socket, SocketType};

over_tcp_and_ipc! {
    garbage_instead_of_a_greeting_ends_that_connection,
    a_handshake_cut_anywhere_ends_that_connection,
    a_handshake_that_stalls_anywhere_is_given_up,
    a_handshake_that_drips_is_given_up,
    a_handshake_under_way_does_not_hold_up_the_end,
    illegal_flags_end_the_connection,
    lengths_beyond_the_protocol_s_end_the_connection,
    unknown_commands_are_passed_over,
    malformed_commands_end_the_connection,
    peers_of_the_wrong_type_are_turned_away,
    a_malformed_ready_is_turned_away,
    a_peer_that_stalls_in_a_message_disturbs_nobody,
    random_bytes_after_the_handshake_disturb_nobody,
    a_connecting_socket_survives_garbage_and_tries_again,
}

alone_over_tcp_and_ipc! {
    memory_grows_with_what_arrived_and_not_with_what_was_announced,
    pings_whose_answers_nobody_reads_take_no_memory,
    what_a_sending_only_socket_is_sent_takes_no_memory,
    thousands_of_half_open_connections_disturb_nobody,
    without_descriptors_a_listener_waits_and_recovers,
    without_descriptors_a_connecting_socket_waits_and_recovers,
}

/// A PULL socket with a well-behaved peer.
struct Server {
    context: Context,
    pull: Socket,
    good: Socket,
    endpoint: String,
    sent: u32,
}

impl Server {
    fn new(transport: Transport) -> Self {
        Self::with(transport, |_| {})
    }

    fn with(transport: Transport, configure: impl FnOnce(&Socket)) -> Self {
        let context = Context::new();
        let pull = socket(&context, SocketType::Pull);
        configure(&pull);
        pull.bind(transport.wildcard()).expect("bind");
        let endpoint = pull.last_endpoint().expect("endpoint");
        let good = connected(&context, SocketType::Push, &endpoint);
        Server { context, pull, good, endpoint, sent: 0 }
    }

    /// The good peer is served, and nothing else has come.
    fn check(&mut self) {
        for _ in 0..3 {
            self.sent += 1;
            self.good.send(body(self.sent, 30)).expect("send");
            assert_eq!(*self.pull.recv().expect("recv"), body(self.sent, 30));
        }
    }

    /// As [`check`](Self::check), where some of the garbage may have been messages: ZMTP 1.0 starts with little
    /// that could be told from it.
    fn check_after_garbage(&mut self) {
        for _ in 0..3 {
            self.sent += 1;
            self.good.send(body(self.sent, 30)).expect("send");
            while *self.pull.recv().expect("recv") != body(self.sent, 30) {}
        }
    }

    fn stream(&self) -> RawStream {
        RawStream::connect(&self.endpoint)
    }

    fn peer(&self) -> RawPeer {
        RawPeer::connect(&self.endpoint, SocketType::Push)
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..=self.next() % most).map(|_| self.next() as u8).collect()
    }
}

/// What a well-behaved PUSH peer says first.
fn opening() -> Vec<u8> {
    [greeting(), ready("PUSH")].concat()
}

fn garbage_instead_of_a_greeting_ends_that_connection(transport: Transport) {
    let mut server = Server::new(transport);
    let mut random = Random(transport as u64 + 1);
    let mut garbage = vec![
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 100],
        vec![0xff; 100],
        vec![0x7f; 100],
        // A greeting with an unknown mechanism, with none, with version 3 and nonsense behind.
        [&greeting()[..12], b"TELEPATHY", &[0; 43]].concat(),
        [&greeting()[..12], &[0; 52]].concat(),
        [&greeting()[..], &[0xff; 50]].concat(),
    ];
    garbage.extend((0..200).map(|_| random.bytes(300)));
    garbage.extend((0..100).map(|_| [greeting(), random.bytes(100)].concat()));
    for bytes in garbage {
        let mut stream = server.stream();
        stream.write_as_far_as_possible(&bytes);
        // Some of it could still become a greeting: it never will.
        stream.finish();
        stream.read_to_close();
    }
    server.check_after_garbage();
}

fn a_handshake_cut_anywhere_ends_that_connection(transport: Transport) {
    let mut server = Server::new(transport);
    let opening = opening();
    for cut in 0..=opening.len() {
        let mut stream = server.stream();
        stream.write_all(&opening[..cut]).expect("write");
        if cut % 2 == 0 {
            stream.finish();
            stream.read_to_close();
        }
        drop(stream);
        server.check();
    }
}

fn a_handshake_that_stalls_anywhere_is_given_up(transport: Transport) {
    let mut server = Server::with(transport, |pull| {
        pull.set_handshake_interval(Duration::from_millis(200)).expect("option");
    });
    server.check();
    let opening = opening();
    let stalled: Vec<RawStream> = (0..opening.len())
        .map(|cut| {
            let mut stream = server.stream();
            stream.write_all(&opening[..cut]).expect("write");
            stream
        })
        .collect();
    server.check();
    for mut stream in stalled {
        stream.read_to_close();
    }
    server.check();
}

fn a_handshake_that_drips_is_given_up(transport: Transport) {
    // The time is for the handshake as a whole, not from one byte to the next.
    let server = Server::with(transport, |pull| {
        pull.set_handshake_interval(Duration::from_millis(100)).expect("option");
    });
    let mut stream = server.stream();
    let mut reader = stream.try_clone();
    let closed = thread::spawn(move || drop(reader.read_to_close()));
    for byte in greeting().iter().cycle().take(12).chain(std::iter::repeat(&3)) {
        if closed.is_finished() || stream.write_all(&[*byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    closed.join().expect("reader");
}

fn a_handshake_under_way_does_not_hold_up_the_end(transport: Transport) {
    for cut in [0, 5, 11, 64, 70] {
        for complete_late in [false, true] {
            let context = Context::new();
            let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
            pull.set_linger(None).expect("option");
            let events = monitor(&pull);
            let mut stream = RawStream::connect(&endpoint);
            stream.write_all(&opening()[..cut]).expect("write");
            events.wait_for(&[EventKind::Accepted]);
            drop(pull);
            if complete_late {
                stream.write_as_far_as_possible(&opening()[cut..]);
            }
            context.terminate();
            stream.read_to_close();
        }
    }
}

fn illegal_flags_end_the_connection(transport: Transport) {
    let mut server = Server::new(transport);
    for flags in 0..=255u8 {
        // More, long and command; but no command has more.
        let legal = flags < 8 && flags & 5 != 5;
        if legal {
            continue;
        }
        let mut peer = server.peer();
        peer.stream.write_as_far_as_possible(&[flags, 1, b'x', 0, 0, 0, 0, 0, 0, 0]);
        peer.stream.read_to_close();
        if flags % 16 == 0 {
            server.check();
        }
    }
    server.check();
}

fn lengths_beyond_the_protocol_s_end_the_connection(transport: Transport) {
    let mut server = Server::new(transport);
    for flags in [2, 3, 6] {
        for len in [1 << 63, (1 << 63) + 1, u64::MAX - 9, u64::MAX - 1, u64::MAX] {
            let mut peer = server.peer();
            peer.stream.write_as_far_as_possible(&long_frame(flags, len, b"body"));
            peer.stream.read_to_close();
        }
    }
    server.check();
    // Huge but legal: the connection waits for the rest, and nobody else does.
    let _waiting: Vec<RawPeer> = [(1 << 63) - 1, 1 << 62, 1 << 40, 1 << 32, u64::from(u32::MAX)]
        .into_iter()
        .flat_map(|len| [2, 3, 6].map(|flags| long_frame(flags, len, &[b'x'; 500])))
        .map(|bytes| {
            let mut peer = server.peer();
            peer.write(&bytes);
            peer
        })
        .collect();
    server.check();
}

fn unknown_commands_are_passed_over(transport: Transport) {
    let mut server = Server::new(transport);
    let mut peer = server.peer();
    let long = [b"\x04LONG", &[7; 5000][..]].concat();
    for unknown in [&b"\x05HELLO"[..], b"\x01x with a body", b"\x05READY", b"\x09SUBSCRIBEtopic", &long] {
        peer.write(&command(unknown));
        peer.send(&[b"one", b"message"]);
        // Between the parts of a message, too.
        let (first, second) = (frame(true, b"two"), frame(false, b"parts"));
        peer.write(&[first, command(unknown), second].concat());
        assert_eq!(parts(&server.pull.recv_multipart().expect("recv")), [&b"one"[..], b"message"]);
        assert_eq!(parts(&server.pull.recv_multipart().expect("recv")), [&b"two"[..], b"parts"]);
    }
    peer.ping(b"still here");
    server.check();
}

fn malformed_commands_end_the_connection(transport: Transport) {
    let mut server = Server::new(transport);
    let malformed: [&[u8]; 5] = [b"", b"\0", b"\x05PIN", b"\x04PING", b"\x04PING\0"];
    for body in malformed {
        let mut peer = server.peer();
        peer.stream.write_as_far_as_possible(&command(body));
        peer.stream.read_to_close();
    }
    server.check();
}

fn peers_of_the_wrong_type_are_turned_away(transport: Transport) {
    let mut server = Server::new(transport);
    server.check();
    let events = monitor(&server.pull);
    for other in ["PULL", "PUB", "SUB", "XPUB", "XSUB", "REQ", "REP", "DEALER", "ROUTER", "PAIR", "FAX", ""] {
        let mut stream = server.stream();
        stream.write_as_far_as_possible(&[greeting(), ready(other)].concat());
        events.wait_for(&[EventKind::HandshakeFailedProtocol]);
        stream.read_to_close();
    }
    server.check();
}

fn a_malformed_ready_is_turned_away(transport: Transport) {
    let mut server = Server::new(transport);
    let good = &ready("PUSH")[2..];
    let mut bodies: Vec<Vec<u8>> = vec![
        b"\x05READY".to_vec(),
        b"\x05ready".to_vec(),
        b"\x05ERROR\x03why".to_vec(),
        b"\x05ERROR\xffwhy".to_vec(),
        // A property whose length runs out of the command, and one of 4 GiB.
        [good, b"\x04Name\0\0\0\x05four"].concat(),
        [good, b"\x04Name\xff\xff\xff\xff"].concat(),
    ];
    bodies.extend((7..good.len()).map(|cut| good[..cut].to_vec()));
    for body in bodies {
        let mut stream = server.stream();
        stream.write_as_far_as_possible(&[greeting(), command(&body)].concat());
        stream.read_to_close();
    }
    // A message frame, and a command longer than any handshake's.
    for bytes in [frame(false, b"message"), long_frame(6, 1 << 30, b"\x05READY")] {
        let mut stream = server.stream();
        stream.write_as_far_as_possible(&[greeting(), bytes].concat());
        stream.read_to_close();
    }
    server.check();
}

fn a_peer_that_stalls_in_a_message_disturbs_nobody(transport: Transport) {
    let mut server = Server::new(transport);
    let message: Vec<u8> =
        [frame(true, b"first"), frame(true, &[1; 300]), frame(false, &[2; 40_000])].concat();
    let mut stalled = Vec::new();
    for cut in (0..30).chain((300..340).step_by(3)).chain((1000..message.len()).step_by(9_001)) {
        let mut peer = server.peer();
        peer.write(&message[..cut]);
        stalled.push((peer, cut));
        server.check();
    }
    // They all go on in the end.
    for (mut peer, cut) in stalled {
        peer.write(&message[cut..]);
        assert_eq!(server.pull.recv_multipart().expect("recv").len(), 3);
        server.check();
    }
}

fn random_bytes_after_the_handshake_disturb_nobody(transport: Transport) {
    let mut server = Server::new(transport);
    let mut random = Random(transport as u64 + 99);
    for _ in 0..200 {
        let mut peer = server.peer();
        let bytes = random.bytes(400);
        peer.stream.write_as_far_as_possible(&bytes);
        peer.stream.finish();
        peer.stream.read_to_close();
    }
    server.check_after_garbage();
}

fn a_connecting_socket_survives_garbage_and_tries_again(transport: Transport) {
    let context = Context::new();
    let listener = common::RawListener::bind(transport);
    let push = connected(&context, SocketType::Push, &listener.endpoint());
    push.send("kept").expect("send");
    let mut random = Random(5);
    for i in 0..40 {
        let mut stream = listener.accept();
        let bytes = match i % 4 {
            0 => [vec![0xff; 20], random.bytes(100)].concat(),
            1 => [greeting(), random.bytes(50)].concat(),
            2 => [greeting(), ready("PUB")].concat(),
            _ => opening()[..i].to_vec(),
        };
        stream.write_as_far_as_possible(&bytes);
        stream.finish();
        stream.read_to_close();
    }
    assert_eq!(listener.accept_peer(SocketType::Pull).read_message(), [b"kept"]);
}

// --- in a process of their own ---

/// In KiB: what allocators and stacks may take without anything being wrong.
const SLACK: usize = 8 * 1024;

fn memory_grows_with_what_arrived_and_not_with_what_was_announced(transport: Transport) {
    let mut server = Server::new(transport);
    server.check();
    let before = peak_memory();
    let mut waiting = Vec::new();
    for len in [1 << 62, 1 << 40, 1 << 33, 1 << 31, 100_000_000] {
        for flags in [2, 3, 6] {
            for _ in 0..5 {
                let mut peer = server.peer();
                peer.write(&long_frame(flags, len, &[b'x'; 1024]));
                waiting.push(peer);
            }
        }
    }
    server.check();
    assert!(peak_memory() < before + SLACK, "{before} KiB, then {}", peak_memory());
}

fn pings_whose_answers_nobody_reads_take_no_memory(transport: Transport) {
    let mut server = Server::new(transport);
    server.check();
    let before = peak_memory();
    let mut peer = server.peer();
    let pings = command(b"\x04PING\0\0sixteen letters!").repeat(2000);
    for _ in 0..500 {
        if peer.stream.write_all(&pings).is_err() {
            break;
        }
    }
    server.check();
    assert!(peak_memory() < before + SLACK, "{before} KiB, then {}", peak_memory());
}

fn what_a_sending_only_socket_is_sent_takes_no_memory(transport: Transport) {
    let context = Context::new();
    let (push, endpoint) = bound(&context, SocketType::Push, transport);
    let mut flood = RawPeer::connect(&endpoint, SocketType::Pull);
    let mut reader = flood.stream.try_clone();
    let before = peak_memory();
    let bytes = frame(false, &[7; 1000]).repeat(100);
    // It may leave the flood in the kernel, or drop it.
    let flooding = thread::spawn(move || {
        for _ in 0..500 {
            if flood.stream.write_all(&bytes).is_err() {
                break;
            }
        }
    });
    for i in 0..200 {
        push.send(body(i, 10)).expect("send");
        let mut header = [0; 12];
        std::io::Read::read_exact(&mut reader, &mut header).expect("read");
        assert_eq!(header[2..], body(i, 10));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(peak_memory() < before + SLACK, "{before} KiB, then {}", peak_memory());
    drop(push);
    context.terminate();
    flooding.join().expect("flood");
}

fn thousands_of_half_open_connections_disturb_nobody(transport: Transport) {
    // They come faster than they are accepted, and what a full backlog turns away tries again after a second.
    let mut server = Server::with(transport, |pull| pull.set_backlog(4096).expect("option"));
    server.check();
    let before = Resources::now();
    // Both ends are in this process.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = 2000.min((limit.saturating_sub(100) / 2) as usize);
    let opening = opening();
    let mut half_open = Vec::new();
    for i in 0..count {
        let mut stream = server.stream();
        stream.write_all(&opening[..i % opening.len()]).expect("write");
        half_open.push(stream);
        if i % 100 == 0 {
            server.check();
        }
    }
    for _ in 0..100 {
        server.check();
    }
    drop(half_open);
    wait_until("their descriptors are closed", || Resources::now().descriptors <= before.descriptors + 4);
    server.check();
}

/// Lowers the limit of descriptors, and takes all that are left.
fn take_all_descriptors() -> Vec<std::fs::File> {
    let used = Resources::now().descriptors as u64;
    setrlimit(
        Resource::Nofile,
        Rlimit { current: Some(used + 20), maximum: getrlimit(Resource::Nofile).maximum },
    )
    .expect("a lower limit");
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

fn without_descriptors_a_listener_waits_and_recovers(transport: Transport) {
    let mut server = Server::new(transport);
    server.check();
    let events = monitor(&server.pull);
    let mut taken = take_all_descriptors();
    // The last one is for our end of a connection; the listener finds none for its own.
    taken.pop();
    let stream = server.stream();
    events.wait_for(&[EventKind::AcceptFailed]);
    let (start, used) = (Instant::now(), cpu_time());
    for _ in 0..5 {
        events.wait_for(&[EventKind::AcceptFailed]);
        server.check();
    }
    let (elapsed, used) = (start.elapsed(), cpu_time() - used);
    assert!(used < elapsed / 2, "it spins: {used:?} of {elapsed:?}");
    // Whoever asks for a descriptor gets an error.
    let pull = server.context.socket(SocketType::Pull).expect("a socket needs none");
    assert!(matches!(pull.bind(transport.wildcard()), Err(Error::Os { .. })));
    drop(taken);
    let mut peer = RawPeer::shake(stream, SocketType::Push);
    peer.send(&[b"accepted after all"]);
    assert_eq!(*server.pull.recv().expect("recv"), *b"accepted after all");
    pull.bind(transport.wildcard()).expect("bind");
    server.check();
}

fn without_descriptors_a_connecting_socket_waits_and_recovers(transport: Transport) {
    let mut server = Server::new(transport);
    server.check();
    let push = socket(&server.context, SocketType::Push);
    let events = monitor(&push);
    let taken = take_all_descriptors();
    push.connect(&server.endpoint).expect("connect");
    for _ in 0..3 {
        events.wait_for(&[EventKind::ConnectRetried]);
        server.check();
    }
    push.send("connected after all").expect("send");
    drop(taken);
    assert_eq!(*server.pull.recv().expect("recv"), *b"connected after all");
    server.check();
}
