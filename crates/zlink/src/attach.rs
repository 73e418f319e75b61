//! What the engine, or an in-process peer, hands a socket when a pipe comes up.

use std::sync::{Arc, OnceLock};

use zlink_pipe::{Properties, Queue};

use crate::engine::{Command, EndpointId, IoShared, SessionHandle};
use crate::inbox::{Inbox, News, PipeId};

/// A pipe as the socket gets it.
pub(crate) struct Attachment {
    pub(crate) id: PipeId,
    /// From the socket to the peer.
    pub(crate) out: Arc<Queue>,
    /// From the peer to the socket.
    pub(crate) inward: Arc<Queue>,
    pub(crate) link: Link,
    /// Known once a handshake is complete; a pipe that outlives connections starts without.
    pub(crate) peer: Option<PeerInfo>,
    /// The bind or connect of this socket that made the pipe.
    pub(crate) endpoint: Option<EndpointId>,
}

/// What stands at the other end of a pipe.
pub(crate) enum Link {
    /// Another socket of the same context.
    Inproc(Arc<InprocPeer>),
    /// An engine session, with or without a connection at the moment.
    Session(Arc<SessionHandle>),
}

/// What a handshake, or an in-process connect, told about the peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerInfo {
    pub(crate) routing_id: Vec<u8>,
    pub(crate) properties: Option<Arc<Properties>>,
}

/// The other end of an in-process pipe, and its name for the pipe. Empty until somebody binds the name that was
/// connected to.
#[derive(Default)]
pub(crate) struct InprocPeer(OnceLock<Named>);

enum Named {
    Socket {
        inbox: Arc<Inbox>,
        id: PipeId,
        marks: Marks,
        /// What it receives last of this pipe, from the one who closes it (`ZMQ_DISCONNECT_MSG`). Empty for nothing.
        farewell: Vec<u8>,
    },
    /// A session that has asked a ZAP handler.
    Session { io: Arc<IoShared>, key: u64 },
}

/// High-water marks of a socket, in messages; 0 for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) send: usize,
    pub(crate) receive: usize,
}

impl InprocPeer {
    pub(crate) fn new(inbox: Arc<Inbox>, id: PipeId, marks: Marks) -> Self {
        let peer = InprocPeer::default();
        peer.set(inbox, id, marks, Vec::new());
        peer
    }

    /// A session, which its I/O thread tells of all news.
    pub(crate) fn session(io: Arc<IoShared>, key: u64) -> Self {
        InprocPeer(OnceLock::from(Named::Session { io, key }))
    }

    /// Names the peer. Done once, by the connect or the bind, whichever is later.
    pub(crate) fn set(&self, inbox: Arc<Inbox>, id: PipeId, marks: Marks, farewell: Vec<u8>) {
        // A second bind cannot find the same pending connect.
        let _ = self.0.set(Named::Socket { inbox, id, marks, farewell });
    }

    /// The peer's marks when the pipe was made; `None` if there is no peer yet.
    pub(crate) fn marks(&self) -> Option<Marks> {
        Some(match self.0.get()? {
            Named::Socket { marks, .. } => *marks,
            // One question and one answer.
            Named::Session { .. } => Marks { send: 0, receive: 0 },
        })
    }

    pub(crate) fn post(&self, news: impl FnOnce(PipeId) -> News) {
        match self.0.get() {
            None => {}
            Some(Named::Socket { inbox, id, .. }) => inbox.post(news(*id)),
            Some(Named::Session { io, key }) => io.post(Command::Verdict(*key)),
        }
    }

    /// What the peer is to receive last.
    pub(crate) fn farewell(&self) -> &[u8] {
        match self.0.get() {
            Some(Named::Socket { farewell, .. }) => farewell,
            _ => &[],
        }
    }
}
