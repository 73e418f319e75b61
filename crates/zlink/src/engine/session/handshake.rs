//! The handshake, and what comes of it: the connection and its pipe.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use zeroize::{Zeroize, Zeroizing};
use zlink_pipe::{Body, Entry, Queue};
use zlink_zmtp::cipher::Opener;
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::zap::USER_ID;
use zlink_zmtp::{Handshake, HandshakeError, Heartbeat, SocketType};

use super::zap::{Answer, Question};
use super::{Handshaking, Phase, PipeSide, Session};
use crate::attach::{Attachment, Link, PeerInfo};
use crate::engine::connection::{Connection, Parts};
use crate::engine::encoder::Encoder;
use crate::engine::framing::Framing;
use crate::engine::io_thread::Thread;
use crate::engine::reader::ReadHalf;
use crate::engine::writer::WriteHalf;
use crate::inbox::News;
use crate::monitor::EventKind;
use crate::pipe::push_message;
use crate::reactor::Interest;
use crate::transport::{Stream, peer_names};

impl Session {
    /// The transport's connection stands: starts on the handshake, if there is to be one.
    pub(super) fn start_handshake(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        let config = self.port.config.handshake.clone();
        let handshake = match (self.web(), &self.connector) {
            (None, _) => Handshake::new(config),
            (Some(web), Some(_)) => Handshake::websocket_client(config, web.host(), web.path()),
            (Some(_), None) => Handshake::websocket_server(config),
        };
        // A connecting socket's descriptor is in the set already.
        let (epoll, key) = (&thread.shared.epoll, self.handle.key);
        if epoll.add(fd.as_fd(), key, Interest::READ).is_err()
            && epoll.modify(fd.as_fd(), key, Interest::READ).is_err()
        {
            return self.connection_lost(thread);
        }
        let Ok(stream) = Stream::new(fd, self.port.config.tls.as_ref()) else {
            return self.connection_lost(thread);
        };
        if self.port.config.raw {
            let address = peer_names(stream.as_fd()).peer_address;
            let terms = Terms {
                encoder: Encoder::raw(),
                framing: Framing::Raw,
                opener: None,
                info: peer_info(&[], &[], &[], &address, stream.as_raw_fd()),
                heartbeats: false,
                subscribe: false,
            };
            return self.run(stream, terms, &[], thread);
        }
        if let Some(timeout) = self.port.config.handshake_timeout {
            self.set_timer(timeout, thread);
        }
        self.phase = Phase::Handshaking(Box::new(Handshaking {
            stream,
            handshake,
            interest: Interest::READ,
            held: Zeroizing::default(),
            question: None,
        }));
        self.shake(false, false, thread)
    }

    /// Moves the handshake on: writes what it has to say and, if the descriptor is `readable`, reads.
    pub(super) fn shake(&mut self, readable: bool, hangup: bool, thread: &mut Thread) -> bool {
        let Phase::Handshaking(shaking) = &mut self.phase else { return true };
        let outcome = match (readable || hangup, shaking.reads()) {
            (false, _) => Ok(()),
            (true, true) => shaking.read(),
            // What else it has sent is of no use: it cannot take part in the rest.
            (true, false) if hangup => Err(ShakeError::Os(Errno::PIPE)),
            (true, false) => Ok(()),
        };
        let outcome = outcome.and_then(|()| self.ask(thread));
        self.go_on(outcome, thread)
    }

    /// Asks the ZAP handler, if the handshake has a question.
    fn ask(&mut self, thread: &mut Thread) -> Result<(), ShakeError> {
        let Phase::Handshaking(shaking) = &mut self.phase else { return Ok(()) };
        let Some(request) = shaking.handshake.zap_request() else { return Ok(()) };
        let config = &self.port.config;
        let address = peer_names(shaking.stream.as_fd()).peer_address;
        let frames = request.frames(&config.zap_domain, address.as_bytes(), &config.handshake.routing_id);
        shaking.question = Question::ask(&self.port.names, &frames, &thread.shared, self.handle.key);
        if shaking.question.is_none() {
            shaking.handshake.zap_unavailable()?;
            shaking.go_on()?;
        }
        Ok(())
    }

    /// There may be news of the question that was asked.
    pub(in crate::engine) fn verdict(&mut self, thread: &mut Thread) -> bool {
        let Phase::Handshaking(shaking) = &mut self.phase else { return true };
        let Some(answer) = shaking.question.as_ref().and_then(Question::answer) else { return true };
        shaking.question = None;
        let outcome = match answer {
            // As in libzmq, the peer is left waiting until the handshake's time is up. Closed at once, it would come
            // again and find no handler, which may let it in.
            Answer::Gone => return true,
            Answer::Reply(Err(error)) => Err(ShakeError::Protocol(error.into())),
            Answer::Reply(Ok(reply)) => {
                shaking.handshake.zap_reply(reply).map_err(ShakeError::from).and_then(|()| shaking.go_on())
            }
        };
        self.go_on(outcome, thread)
    }

    /// Writes what the handshake has to say after input or a verdict, and sees what comes next.
    fn go_on(&mut self, mut outcome: Result<(), ShakeError>, thread: &mut Thread) -> bool {
        let Phase::Handshaking(shaking) = &mut self.phase else { return true };
        let reads = shaking.reads();
        let Handshaking { stream, handshake, interest, .. } = &mut **shaking;
        // Even after a failure: the last words may tell the peer why.
        while !handshake.output().is_empty() {
            match stream.send(&[IoSlice::new(handshake.output())]) {
                Ok(n) => handshake.advance_output(n),
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    outcome = outcome.and(Err(ShakeError::Os(errno)));
                    break;
                }
            }
        }
        let flushed = stream.flush().unwrap_or_else(|errno| {
            // Of several failures, the first.
            if outcome.is_ok() {
                outcome = Err(ShakeError::Os(errno));
            }
            false
        });
        if let Err(error) = outcome {
            self.report_failed_handshake(&error);
            let refused = matches!(error, ShakeError::Protocol(HandshakeError::PeerError(_)));
            return self.handshake_failed(refused, thread);
        }
        let blocked = !handshake.output().is_empty() || !flushed;
        if handshake.peer().is_some() && !blocked {
            return self.establish(thread);
        }
        let wanted = Interest { readable: reads, writable: blocked };
        if *interest != wanted {
            *interest = wanted;
            let _ = thread.shared.epoll.modify(stream.as_fd(), self.handle.key, wanted);
        }
        true
    }

    /// Closes the connection. As in libzmq, a peer that has `refused` with a reason is not asked again, since that would
    /// change nothing, nor is any after a failed handshake if the socket wants it so.
    pub(super) fn handshake_failed(&mut self, refused: bool, thread: &mut Thread) -> bool {
        let give_up = refused || self.port.config.reconnect_stop.handshake_failed;
        self.close_connection(true, thread);
        !give_up && self.connection_lost(thread)
    }

    fn report_failed_handshake(&self, error: &ShakeError) {
        let (kind, value) = match error {
            ShakeError::Os(errno) => (EventKind::HandshakeFailedNoDetail, errno.raw_os_error()),
            ShakeError::Protocol(error) => match (error.kind(), error.auth_status()) {
                (FailureKind::PeerRejected | FailureKind::Denied, Some(status)) => {
                    (EventKind::HandshakeFailedAuth, i32::from(status))
                }
                (FailureKind::NoZapHandler, _) => {
                    (EventKind::HandshakeFailedNoDetail, Errno::FAULT.raw_os_error())
                }
                _ => (EventKind::HandshakeFailedProtocol, error.protocol_error_code()),
            },
        };
        self.port.monitor.emit(kind, value as u32, &self.ends);
    }

    /// The handshake is complete.
    fn establish(&mut self, thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        let Phase::Handshaking(shaking) = std::mem::replace(&mut self.phase, Phase::Waiting) else {
            return true;
        };
        let Handshaking { stream, mut handshake, interest, held: rest, .. } = *shaking;
        if interest != Interest::READ {
            let _ = thread.shared.epoll.modify(stream.as_fd(), self.handle.key, Interest::READ);
        }
        let (sealer, opener) = handshake.take_cipher().map(|cipher| (cipher.sealer, cipher.opener)).unzip();
        let Some(peer) = handshake.into_peer() else { return false };
        let ours = self.port.config.socket_type;
        let address = peer_names(stream.as_fd()).peer_address;
        // A 1.0 subscriber does not say what it wants: it filters for itself.
        let publisher = matches!(ours, SocketType::Pub | SocketType::Xpub);
        let terms = Terms {
            encoder: Encoder::for_peer(&peer, ours, sealer),
            framing: peer.framing.into(),
            opener,
            info: peer_info(
                &peer.routing_id,
                &peer.zap_properties,
                &peer.metadata,
                &address,
                stream.as_raw_fd(),
            ),
            heartbeats: peer.heartbeats,
            subscribe: publisher && peer.version == (1, 0) && peer.socket_type.is_none(),
        };
        self.port.monitor.emit(EventKind::HandshakeSucceeded, 0, &self.ends);
        self.run(stream, terms, &rest, thread)
    }

    /// Makes the connection and, unless it is there, the pipe. `rest` was read behind the handshake.
    fn run(&mut self, stream: Stream, terms: Terms, rest: &[u8], thread: &mut Thread) -> bool {
        let Terms { encoder, framing, opener, info, heartbeats, subscribe } = terms;
        let config = &self.port.config;
        let side = self.pipe.clone().unwrap_or_else(|| PipeSide {
            id: self.port.inbox.reserve(),
            out: Arc::new(Queue::new(config.out)),
            inward: Arc::new(Queue::new(config.inward)),
        });
        let parts = Parts {
            stream,
            key: self.handle.key,
            io: Arc::clone(&thread.shared),
            out: Arc::clone(&side.out),
            inward: Arc::clone(&side.inward),
            inbox: Arc::clone(&self.port.inbox),
            pipe: side.id,
            counters: Arc::clone(&self.handle.counters),
            batches_wait: config.batch_timeout.is_some(),
        };
        let mut write = WriteHalf::new(encoder);
        if !config.hello.is_empty() {
            // Ahead of what the pipe holds.
            write.add_control(&Entry::message(&mut Body::Slice(&config.hello)).slices_from(0).concat());
        }
        let read = ReadHalf::new(framing, config.max_message_size, config.socket_type, config.in_batch)
            .with_opener(opener);
        let connection = Arc::new(Connection::new(parts, write, read));
        let mut heartbeat =
            Heartbeat::new(config.heartbeat_interval, config.heartbeat_ttl, config.heartbeat_timeout);
        if heartbeats {
            heartbeat.start(Instant::now());
        }
        if let Some(connector) = &mut self.connector {
            connector.pause = config.reconnect_interval.unwrap_or_default();
        }
        // Before anybody else can read: this comes first. Nobody is woken, since the socket knows of nothing yet.
        let notify = config.notify_connect;
        if subscribe {
            push_message(&side.inward, &[1]);
        }
        if notify {
            push_message(&side.inward, &[]);
        }
        connection.feed(rest);
        self.handle.set_connection(Some(Arc::clone(&connection)));
        // From here on the pipe has a connection, and this thread its writer token.
        side.out.attach();
        let side_id = side.id;
        let news = match self.pipe.replace(side.clone()) {
            Some(_) => News::Reconnected(side.id, info),
            None => News::Attached(Box::new(Attachment {
                id: side.id,
                out: side.out,
                inward: side.inward,
                link: Link::Session(Arc::clone(&self.handle)),
                peer: Some(info),
                endpoint: Some(self.port.endpoint),
            })),
        };
        self.phase = Phase::Running { connection: Arc::clone(&connection), heartbeat };
        let is_new = matches!(news, News::Attached(_));
        if !self.port.inbox.post_unless_closed(news) && is_new {
            // The socket was closed during the handshake, and knows nothing of a pipe to close.
            return false;
        }
        if subscribe || notify || !rest.is_empty() {
            // News of what was fed came before that of the pipe, to nobody.
            self.port.inbox.post(News::Readable(side_id));
        }
        self.ever_connected = true;
        self.schedule_heartbeat(thread);
        // Traffic that came with the end of the handshake and is not in the kernel any more.
        connection.resume();
        self.write_with_token(thread)
    }
}

impl Handshaking {
    /// Whether to read: what the handshake wants, and after it one piece of traffic at most, for else a peer that goes
    /// while its verdict is awaited would not be noticed.
    fn reads(&self) -> bool {
        self.handshake.wants_input() || self.held.is_empty()
    }

    /// Reads what has come, once, and lets the handshake take it.
    fn read(&mut self) -> Result<(), ShakeError> {
        self.receive()?;
        self.go_on()
    }

    fn receive(&mut self) -> Result<(), ShakeError> {
        let mut buffer = [const { MaybeUninit::uninit() }; 2048];
        match self.stream.recv(&mut buffer) {
            Ok([]) => return Err(ShakeError::Os(Errno::PIPE)),
            Ok(bytes) => {
                self.held.extend_from_slice(bytes);
                bytes.zeroize();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(ShakeError::Os(errno)),
        }
        Ok(())
    }

    /// Lets the handshake take what is there, also of what the kernel does not tell of any more.
    fn go_on(&mut self) -> Result<(), ShakeError> {
        self.take_held()?;
        while self.reads() && self.stream.holds_input() {
            self.receive()?;
            self.take_held()?;
        }
        Ok(())
    }

    /// Lets the handshake take what is its own of what was received.
    fn take_held(&mut self) -> Result<(), ShakeError> {
        let n = self.handshake.input(&self.held)?;
        // What stays is traffic, and short: nothing is read before there is a place for it.
        self.held = Zeroizing::new(self.held[n..].to_vec());
        Ok(())
    }
}

enum ShakeError {
    Os(Errno),
    Protocol(HandshakeError),
}

impl From<HandshakeError> for ShakeError {
    fn from(error: HandshakeError) -> Self {
        ShakeError::Protocol(error)
    }
}

/// How to speak with a peer, and what is known of it.
struct Terms {
    encoder: Encoder,
    framing: Framing,
    opener: Option<Opener>,
    info: PeerInfo,
    heartbeats: bool,
    /// The peer wants everything, without saying so.
    subscribe: bool,
}

type Property = (String, Vec<u8>);

/// What a socket and its messages tell about the peer.
///
/// A name stands for the first property that has it: what we know ourselves, then what the ZAP handler says, and last
/// what the peer does.
fn peer_info(routing_id: &[u8], zap: &[Property], metadata: &[Property], address: &str, fd: i32) -> PeerInfo {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let mut properties =
        vec![("Peer-Address".to_owned(), address.to_owned()), ("__fd".to_owned(), fd.to_string())];
    properties.extend(zap.iter().map(|(name, value)| (name.clone(), text(value))));
    for (name, value) in metadata {
        if name.eq_ignore_ascii_case(USER_ID) {
            // Who a peer is, is not for it to say.
            continue;
        }
        // ZMTP calls it Identity, the manual of today Routing-Id; both names are answered.
        if name.eq_ignore_ascii_case("Identity") {
            properties.push(("Routing-Id".to_owned(), text(value)));
        }
        properties.push((name.clone(), text(value)));
    }
    PeerInfo { routing_id: routing_id.to_vec(), properties: Some(Arc::new(properties.into())) }
}
