//! A session's question to the ZAP handler: an in-process pipe to whoever has bound its name, for one request and one
//! reply.
//!
//! To the handler the session looks like a REQ socket that has connected. The reply, or the end of the pipe, comes as
//! [`Command::Verdict`](crate::engine::Command::Verdict) to the session's I/O thread, which never waits for it.
//!
//! Source: 27/ZAP.

use std::sync::Arc;

use zlink_pipe::{Body, Cursor, Message, Queue, QueueConfig, Staging};
use zlink_zmtp::zap::{ENDPOINT, ZapError};
use zlink_zmtp::{SocketType, ZapReply};

use crate::attach::{Attachment, InprocPeer, Link, PeerInfo};
use crate::engine::IoShared;
use crate::inbox::{Inbox, News, PipeId};
use crate::inproc::Names;

/// More frames than a reply has: enough to see that there are too many.
const ENOUGH_FRAMES: usize = 8;

/// A question that was asked. Dropping it closes the pipe.
pub(super) struct Question {
    handler: Arc<Inbox>,
    /// The handler's name for the pipe.
    id: PipeId,
    /// To the handler, and from it.
    out: Arc<Queue>,
    inward: Arc<Queue>,
}

/// What came back.
pub(super) enum Answer {
    Reply(Result<ZapReply, ZapError>),
    /// The handler closed the pipe without a reply.
    Gone,
}

impl Question {
    /// Asks for the session `key` of the I/O thread `io`. `None` if there is no handler.
    pub(super) fn ask(names: &Names, request: &[&[u8]], io: &Arc<IoShared>, key: u64) -> Option<Self> {
        let handler = names.bound(ENDPOINT.trim_start_matches("inproc://"))?;
        if !matches!(handler.socket_type, SocketType::Rep | SocketType::Router) {
            // It could not answer.
            return None;
        }
        let queue = || {
            Arc::new(Queue::new(QueueConfig { hwm: 0, local: true, direct: false, ..QueueConfig::default() }))
        };
        let (out, inward) = (queue(), queue());
        let mut staging = Staging::new();
        for (n, frame) in request.iter().enumerate() {
            staging.add(&mut Body::Slice(frame), n + 1 < request.len());
        }
        // Nobody knows of the pipe: there is nobody to wake.
        let _ = out.push_staged(&mut staging);
        let id = handler.inbox.reserve();
        let news = News::Attached(Box::new(Attachment {
            id,
            out: Arc::clone(&inward),
            inward: Arc::clone(&out),
            link: Link::Inproc(Arc::new(InprocPeer::session(Arc::clone(io), key))),
            peer: Some(PeerInfo::default()),
            endpoint: None,
        }));
        handler.inbox.post_unless_closed(news).then_some(Question { handler: handler.inbox, id, out, inward })
    }

    /// The answer, once it is there.
    pub(super) fn answer(&self) -> Option<Answer> {
        let mut cursor = Cursor::new();
        let taken = cursor.refill(&self.inward);
        let Some(first) = cursor.next_message() else {
            return taken.ended.then_some(Answer::Gone);
        };
        // A message is in the queue with all its parts.
        let mut frames = vec![first];
        while frames.last().is_some_and(Message::more) && frames.len() < ENOUGH_FRAMES {
            frames.extend(cursor.next_message());
        }
        Some(Answer::Reply(ZapReply::parse(&frames)))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // Peers come and go faster than a slow handler looks: those that are gone leave nothing behind for it.
        if self.handler.withdraw(self.id) {
            return;
        }
        let _ = self.out.end();
        self.handler.post(News::Readable(self.id));
    }
}
