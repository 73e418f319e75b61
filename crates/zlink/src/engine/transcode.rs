//! Wire forms other than the pipe's own: ZMTP 1.0 frames, and subscriptions and group membership as commands.

use zlink_pipe::Entry;
use zlink_zmtp::command::{encode_cancel, encode_join, encode_leave, encode_subscribe};
use zlink_zmtp::frame::{MAX_HEADER_LEN, encode_header, v1};
use zlink_zmtp::{Framing, Peer, SocketType};

/// How a connection writes what its pipe holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wire {
    /// As it is: ZMTP/2 frames.
    AsIs,
    /// ZMTP/2 frames, with messages that begin with 1 or 0 turned into SUBSCRIBE and CANCEL (3.1).
    SubscribeCommands,
    /// ZMTP/2 frames, with messages that begin with 1 or 0 turned into JOIN and LEAVE: a DISH sends no others.
    GroupCommands,
    /// ZMTP 1.0 frames.
    V1,
}

impl Wire {
    pub(super) fn for_peer(peer: &Peer, ours: SocketType) -> Self {
        match peer.framing {
            Framing::V1 => Wire::V1,
            Framing::V2 if peer.subscribe_commands && matches!(ours, SocketType::Sub | SocketType::Xsub) => {
                Wire::SubscribeCommands
            }
            Framing::V2 if ours == SocketType::Dish => Wire::GroupCommands,
            Framing::V2 => Wire::AsIs,
        }
    }

    /// The entry's bytes in this form.
    pub(super) fn encode(self, entry: &Entry) -> Vec<u8> {
        let mut out = Vec::with_capacity(entry.len());
        for (more, body) in entry.frames() {
            self.encode_frame(more, body, &mut out);
        }
        out
    }

    fn encode_frame(self, more: bool, body: &[u8], out: &mut Vec<u8>) {
        match (self, body) {
            (Wire::V1, _) => {
                let mut header = [0; v1::MAX_HEADER_LEN];
                let n = v1::encode_header(more, body.len() as u64, &mut header);
                out.extend_from_slice(&header[..n]);
                out.extend_from_slice(body);
            }
            (Wire::SubscribeCommands, [1, topic @ ..]) if !more => encode_subscribe(out, topic),
            (Wire::SubscribeCommands, [0, topic @ ..]) if !more => encode_cancel(out, topic),
            // The socket has checked the names: none is refused.
            (Wire::GroupCommands, [1, group @ ..]) => encode_join(out, group).unwrap_or_default(),
            (Wire::GroupCommands, [0, group @ ..]) => encode_leave(out, group).unwrap_or_default(),
            (Wire::AsIs | Wire::SubscribeCommands | Wire::GroupCommands, _) => {
                let mut header = [0; MAX_HEADER_LEN];
                let n = encode_header(more, false, body.len() as u64, &mut header);
                out.extend_from_slice(&header[..n]);
                out.extend_from_slice(body);
            }
        }
    }

    /// How far into the entry the frames reach that lie wholly within its first `written` encoded bytes.
    pub(super) fn written_of(self, entry: &Entry, written: usize) -> usize {
        let (mut encoded, mut source) = (Vec::new(), 0);
        for (more, body) in entry.frames() {
            self.encode_frame(more, body, &mut encoded);
            if encoded.len() > written {
                break;
            }
            source += zlink_zmtp::frame::header_len(body.len() as u64) + body.len();
        }
        source
    }
}
