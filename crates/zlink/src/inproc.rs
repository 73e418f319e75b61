//! In-process names: who has bound which, and the pipes made through them.
//!
//! Sockets call from the thread that binds or connects, sessions from their I/O thread, to ask a ZAP handler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use zlink_pipe::{Credit, Queue, QueueConfig};
use zlink_zmtp::SocketType;

use crate::attach::{Attachment, InprocPeer, Link, Marks, PeerInfo};
use crate::engine::EndpointId;
use crate::error::{Error, Result};
use crate::inbox::{Inbox, News, PipeId};
use crate::pipe::{joint_hwm, push_message};

/// What an in-process bind or connect tells the other side.
#[derive(Clone)]
pub(crate) struct InprocEnd {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) socket_type: SocketType,
    pub(crate) routing_id: Vec<u8>,
    pub(crate) marks: Marks,
    pub(crate) conflate: bool,
    /// Those who read what this socket sends do so at once, and let nothing gather.
    pub(crate) eager: bool,
    /// Sent to whoever connects (`ZMQ_HELLO_MSG`). Empty for nothing.
    pub(crate) hello: Vec<u8>,
    /// Received when somebody who connected goes (`ZMQ_DISCONNECT_MSG`). Empty for nothing.
    pub(crate) disconnect: Vec<u8>,
}

impl InprocEnd {
    fn info(&self) -> PeerInfo {
        // No properties, as in libzmq. Programs leave small messages of a monitor unclosed, which would keep them.
        PeerInfo { routing_id: self.routing_id.clone(), properties: None }
    }
}

/// A connect to a name that nobody has bound yet.
struct Pending {
    name: String,
    from: InprocEnd,
    pipe: PipeId,
    /// From the connecting socket, and to it.
    out: Arc<Queue>,
    inward: Arc<Queue>,
    peer: Arc<InprocPeer>,
}

/// Puts a greeting into a pipe that nobody knows of yet; an empty one is none.
fn say(queue: &Queue, greeting: &[u8]) {
    if !greeting.is_empty() {
        push_message(queue, greeting);
    }
}

#[derive(Default)]
struct State {
    bound: HashMap<String, InprocEnd>,
    pending: Vec<Pending>,
}

/// The in-process names of a context.
#[derive(Default)]
pub(crate) struct Names {
    state: Mutex<State>,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock can panic half-way through an update.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn bind(&self, name: &str, end: InprocEnd) -> Result<()> {
        let mut state = self.lock();
        if state.bound.contains_key(name) {
            return Err(Error::AddressInUse);
        }
        state.bound.insert(name.to_owned(), end.clone());
        let waiting: Vec<Pending> = state.pending.extract_if(.., |pending| pending.name == name).collect();
        drop(state);
        for pending in waiting {
            let id = end.inbox.reserve();
            // Both queues were made before the other side's marks were known.
            let marks = pending.from.marks;
            let _ = pending.out.set_hwm(joint_hwm(marks.send, end.marks.receive));
            let _ = pending.inward.set_hwm(joint_hwm(end.marks.send, marks.receive));
            if end.eager {
                pending.inward.forbid_naps();
            }
            let link = InprocPeer::new(Arc::clone(&pending.from.inbox), pending.pipe, marks);
            say(&pending.inward, &end.hello);
            // First the name, then the news: what the peer sends from here on reaches the binder.
            end.inbox.post(News::Attached(Box::new(Attachment {
                id,
                out: Arc::clone(&pending.inward),
                inward: Arc::clone(&pending.out),
                link: Link::Inproc(Arc::new(link)),
                peer: Some(pending.from.info()),
                endpoint: None,
            })));
            pending.peer.set(Arc::clone(&end.inbox), id, end.marks, end.disconnect.clone());
            // It may have been told before that its news reached nobody.
            end.inbox.post(News::Readable(id));
            pending.from.inbox.post(News::Reconnected(pending.pipe, end.info()));
            pending.from.inbox.post(News::Writable(pending.pipe));
            pending.from.inbox.post(News::Readable(pending.pipe));
        }
        Ok(())
    }

    /// Who has bound `name`.
    pub(crate) fn bound(&self, name: &str) -> Option<InprocEnd> {
        self.lock().bound.get(name).cloned()
    }

    pub(crate) fn unbind(&self, name: &str, inbox: &Arc<Inbox>) {
        let mut state = self.lock();
        if state.bound.get(name).is_some_and(|end| Arc::ptr_eq(&end.inbox, inbox)) {
            state.bound.remove(name);
        }
    }

    /// Connects to a name, bound or not. Returns the connecting side's pipe, to be attached at once.
    pub(crate) fn connect(&self, name: &str, from: &InprocEnd, pipe: PipeId) -> Attachment {
        let mut state = self.lock();
        let bound = state.bound.get(name).cloned();
        let conflate = from.conflate || bound.as_ref().is_some_and(|to| to.conflate);
        let queue = |hwm| {
            let credit = Credit::InBatches;
            Arc::new(Queue::new(QueueConfig {
                hwm,
                credit,
                conflate,
                local: true,
                direct: false,
                ..QueueConfig::default()
            }))
        };
        let (out, inward) = match &bound {
            Some(to) => (
                queue(joint_hwm(from.marks.send, to.marks.receive)),
                queue(joint_hwm(to.marks.send, from.marks.receive)),
            ),
            None => (queue(from.marks.send), queue(from.marks.receive)),
        };
        if from.eager {
            out.forbid_naps();
        }
        if bound.as_ref().is_some_and(|to| to.eager) {
            inward.forbid_naps();
        }
        say(&out, &from.hello);
        let (link, peer) = match bound {
            Some(to) => {
                let id = to.inbox.reserve();
                say(&inward, &to.hello);
                let back = InprocPeer::new(Arc::clone(&from.inbox), pipe, from.marks);
                to.inbox.post(News::Attached(Box::new(Attachment {
                    id,
                    out: Arc::clone(&inward),
                    inward: Arc::clone(&out),
                    link: Link::Inproc(Arc::new(back)),
                    peer: Some(from.info()),
                    endpoint: None,
                })));
                let info = to.info();
                let peer = InprocPeer::default();
                peer.set(to.inbox, id, to.marks, to.disconnect);
                (Arc::new(peer), Some(info))
            }
            None => {
                let peer = Arc::new(InprocPeer::default());
                state.pending.push(Pending {
                    name: name.to_owned(),
                    from: from.clone(),
                    pipe,
                    out: Arc::clone(&out),
                    inward: Arc::clone(&inward),
                    peer: Arc::clone(&peer),
                });
                (peer, None)
            }
        };
        let endpoint = Some(EndpointId::new());
        Attachment { id: pipe, out, inward, link: Link::Inproc(link), peer, endpoint }
    }

    /// Forgets a connect that waits for its name to be bound.
    pub(crate) fn forget_pending(&self, inbox: &Arc<Inbox>, pipe: PipeId) {
        self.drop_pending(|pending| Arc::ptr_eq(&pending.from.inbox, inbox) && pipe == pending.pipe);
    }

    /// A socket closes: of its connects that wait for their names to be bound, those stay through which it has sent
    /// something, as far as its linger time lets them: whoever binds the name gets it. No time is counted: as long as
    /// nobody binds, nothing but the context's end would end it.
    pub(crate) fn leave_pending(&self, inbox: &Arc<Inbox>, linger: Option<Duration>) {
        let stays = |pending: &Pending| linger != Some(Duration::ZERO) && pending.out.in_flight() > 0;
        self.drop_pending(|pending| Arc::ptr_eq(&pending.from.inbox, inbox) && !stays(pending));
    }

    fn drop_pending(&self, such: impl Fn(&Pending) -> bool) {
        let gone: Vec<Pending> = self.lock().pending.extract_if(.., |pending| such(pending)).collect();
        // Without the lock: what was sent may have to be given back to its owner.
        drop(gone);
    }
}
