//! The handshake, and what comes of it: the connection and its pipe.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use zlink_pipe::{Body, Entry, Queue};
use zlink_zmtp::handshake::FailureKind;
use zlink_zmtp::{Handshake, HandshakeError, Heartbeat, SocketType};

use super::{Phase, PipeSide, Session};
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
use crate::transport::peer_names;

impl Session {
    /// The transport's connection stands: starts on the handshake, if there is to be one.
    pub(super) fn start_handshake(&mut self, fd: OwnedFd, thread: &mut Thread) -> bool {
        let config = self.port.config.handshake.clone();
        let handshake = Box::new(match (self.web(), &self.connector) {
            (None, _) => Handshake::new(config),
            (Some(web), Some(_)) => Handshake::websocket_client(config, web.host(), web.path()),
            (Some(_), None) => Handshake::websocket_server(config),
        });
        // A connecting socket's descriptor is in the set already.
        let (epoll, key) = (&thread.shared.epoll, self.handle.key);
        if epoll.add(fd.as_fd(), key, Interest::READ).is_err()
            && epoll.modify(fd.as_fd(), key, Interest::READ).is_err()
        {
            return self.connection_lost(thread);
        }
        if self.port.config.raw {
            let address = peer_names(fd.as_fd()).peer_address;
            let terms = Terms {
                encoder: Encoder::raw(),
                framing: Framing::Raw,
                info: peer_info(&[], &[], &address, fd.as_raw_fd()),
                heartbeats: false,
                subscribe: false,
            };
            return self.run(fd, terms, &[], thread);
        }
        if let Some(timeout) = self.port.config.handshake_timeout {
            self.set_timer(timeout, thread);
        }
        self.phase = Phase::Handshaking { fd, handshake, wants_write: false };
        self.shake(false, thread)
    }

    /// Moves the handshake on: writes what it has to say and, if `readable`, reads.
    pub(super) fn shake(&mut self, readable: bool, thread: &mut Thread) -> bool {
        let Phase::Handshaking { fd, handshake, wants_write } = &mut self.phase else { return true };
        let mut buffer = [0; 2048];
        let mut rest = 0..0;
        let mut outcome = Ok(());
        if readable {
            match recv(&*fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => outcome = Err(ShakeError::Os(Errno::PIPE)),
                Ok((_, n)) => match handshake.input(&buffer[..n]) {
                    Ok(consumed) => rest = consumed..n,
                    Err(error) => outcome = Err(ShakeError::Protocol(error)),
                },
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => outcome = Err(ShakeError::Os(errno)),
            }
        }
        // Even after a failure: the last words may tell the peer why.
        while !handshake.output().is_empty() {
            match send(&*fd, handshake.output(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => handshake.advance_output(n),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    outcome = outcome.and(Err(ShakeError::Os(errno)));
                    break;
                }
            }
        }
        let blocked = !handshake.output().is_empty();
        if outcome.is_ok() && blocked != *wants_write {
            *wants_write = blocked;
            let interest = if blocked { Interest::BOTH } else { Interest::READ };
            let _ = thread.shared.epoll.modify(fd.as_fd(), self.handle.key, interest);
        }
        match outcome {
            Err(error) => {
                self.report_failed_handshake(&error);
                self.drop_connection(thread)
            }
            Ok(()) if handshake.peer().is_some() && !blocked => self.establish(&buffer[rest], thread),
            Ok(()) => true,
        }
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
    fn establish(&mut self, rest: &[u8], thread: &mut Thread) -> bool {
        thread.cancel_timer(&mut self.timer);
        let Phase::Handshaking { fd, handshake, .. } = std::mem::replace(&mut self.phase, Phase::Waiting)
        else {
            return true;
        };
        let Some(peer) = handshake.into_peer() else { return false };
        let ours = self.port.config.socket_type;
        let address = peer_names(fd.as_fd()).peer_address;
        // A 1.0 subscriber does not say what it wants: it filters for itself.
        let publisher = matches!(ours, SocketType::Pub | SocketType::Xpub);
        let terms = Terms {
            encoder: Encoder::for_peer(&peer, ours),
            framing: peer.framing.into(),
            info: peer_info(&peer.routing_id, &peer.metadata, &address, fd.as_raw_fd()),
            heartbeats: peer.heartbeats,
            subscribe: publisher && peer.version == (1, 0) && peer.socket_type.is_none(),
        };
        self.port.monitor.emit(EventKind::HandshakeSucceeded, 0, &self.ends);
        self.run(fd, terms, rest, thread)
    }

    /// Makes the connection and, unless it is there, the pipe. `rest` was read behind the handshake.
    fn run(&mut self, fd: OwnedFd, terms: Terms, rest: &[u8], thread: &mut Thread) -> bool {
        let Terms { encoder, framing, info, heartbeats, subscribe } = terms;
        let config = &self.port.config;
        let side = self.pipe.clone().unwrap_or_else(|| PipeSide {
            id: self.port.inbox.reserve(),
            out: Arc::new(Queue::new(config.out)),
            inward: Arc::new(Queue::new(config.inward)),
        });
        let parts = Parts {
            fd,
            key: self.handle.key,
            io: Arc::clone(&thread.shared),
            out: Arc::clone(&side.out),
            inward: Arc::clone(&side.inward),
            inbox: Arc::clone(&self.port.inbox),
            pipe: side.id,
            counters: Arc::clone(&self.port.counters),
            batches_wait: config.batch_timeout.is_some(),
        };
        let mut write = WriteHalf::new(encoder);
        if !config.hello.is_empty() {
            // Ahead of what the pipe holds.
            write.add_control(&Entry::message(&mut Body::Slice(&config.hello)).slices_from(0).concat());
        }
        let read = ReadHalf::new(framing, config.max_message_size, config.socket_type, config.in_batch);
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
        self.write_with_token(thread)
    }
}

enum ShakeError {
    Os(Errno),
    Protocol(HandshakeError),
}

/// How to speak with a peer, and what is known of it.
struct Terms {
    encoder: Encoder,
    framing: Framing,
    info: PeerInfo,
    heartbeats: bool,
    /// The peer wants everything, without saying so.
    subscribe: bool,
}

/// What a socket and its messages tell about the peer.
fn peer_info(routing_id: &[u8], metadata: &[(String, Vec<u8>)], address: &str, fd: i32) -> PeerInfo {
    let mut properties = Vec::with_capacity(metadata.len() + 3);
    // First, and so found first: what we know ourselves, a peer cannot claim otherwise.
    properties.push(("Peer-Address".to_owned(), address.to_owned()));
    properties.push(("__fd".to_owned(), fd.to_string()));
    for (name, value) in metadata {
        // ZMTP calls it Identity, the manual of today Routing-Id; both names are answered.
        if name.eq_ignore_ascii_case("Identity") {
            properties.push(("Routing-Id".to_owned(), String::from_utf8_lossy(value).into_owned()));
        }
        properties.push((name.clone(), String::from_utf8_lossy(value).into_owned()));
    }
    PeerInfo { routing_id: routing_id.to_vec(), properties: Arc::new(properties.into()) }
}
