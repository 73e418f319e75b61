//! What the socket tells of its peers.

use super::{Core, Socket};
use crate::engine::stats::SocketStats;
use crate::error::Result;
use crate::monitor::Ends;

/// A peer at one moment, and what the engine did for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerState {
    pub(crate) ends: Ends,
    /// What libzmq tells of the two queues.
    pub(crate) unacknowledged: [u64; 2],
    /// Messages that wait to be written to the peer, and those from it that wait to be received.
    pub(crate) queued: [u64; 2],
    pub(crate) stats: SocketStats,
}

/// What the engine did for one peer of a socket, from [`Socket::peer_stats`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// This end of the connection. Empty while there is none.
    pub local: String,
    /// The other end of the connection; of a connect the endpoint that was given, with a connection or without. Empty
    /// over `inproc`.
    pub remote: String,
    /// Messages that wait to be written, or are being written; over `inproc` those that wait to be received there, with
    /// some that have been.
    pub queued_out: u64,
    /// Messages that wait to be received.
    pub queued_in: u64,
    /// Since the endpoint was connected, or the connection accepted; a connect's peer keeps its counts from connection to
    /// connection. Over `inproc` only `dropped` is counted. [`SocketStats::naps`] are the socket's
    /// alone.
    pub counters: SocketStats,
}

impl From<PeerState> for PeerStats {
    fn from(PeerState { ends, queued: [queued_out, queued_in], stats, .. }: PeerState) -> PeerStats {
        let (local, remote) = ends.into_names();
        PeerStats { local, remote, queued_out, queued_in, counters: stats }
    }
}

impl Socket {
    /// What the engine did for each peer that the socket has now, in no particular order: which of them takes its
    /// messages slowly (`queued_out`, `would_block`), or not at all (`dropped`, `reconnects`).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Terminated`](crate::Error::Terminated).
    pub fn peer_stats(&self) -> Result<Vec<PeerStats>> {
        Ok(self.peers()?.into_iter().map(PeerStats::from).collect())
    }

    pub(crate) fn peers(&self) -> Result<Vec<PeerState>> {
        Ok(self.enter_aside()?.peers())
    }
}

impl Core {
    fn peers(&self) -> Vec<PeerState> {
        let connects = self.connects();
        let states = self.pipes.iter().map(|pipe| {
            let connection = pipe.connection();
            let fd = connection.as_ref().map(|connection| connection.fd());
            let ends = match (connects.get(&pipe.id), fd) {
                (Some(endpoint), fd) => {
                    let mut ends = Ends::connecting(endpoint);
                    fd.into_iter().for_each(|fd| ends.connected(fd));
                    ends
                }
                (None, Some(fd)) => Ends::accepted(fd, None),
                (None, None) => Ends::default(),
            };
            PeerState {
                ends,
                unacknowledged: pipe.unacknowledged(),
                queued: pipe.queued(),
                stats: pipe.stats(),
            }
        });
        states.collect()
    }
}
