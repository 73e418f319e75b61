//! The socket: a pattern, its pipes, and the calls that wait for them.

mod direct;
mod endpoints;
mod look;
mod options;
mod peers;
#[cfg(feature = "wss")]
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zlink_pipe::{BiasedGuard, BiasedMutex, Body, Message};
use zlink_zmtp::SocketType;

use crate::attach::Attachment;
use crate::context::{Context, ContextInner, Live};
use crate::engine::stats::{SocketCounters, SocketStats};
use crate::error::{Error, Result, SendError};
use crate::inbox::{Inbox, News, PipeId};
use crate::monitor::MonitorHub;
use crate::option::SocketOptions;
use crate::pattern::{self, Pattern, Refusal};
use crate::pipe::{PipeEnd, Pipes, Sink};
use crate::reactor::Ended;
use direct::Direct;
use endpoints::Record;
pub(crate) use peers::PeerState;
pub use peers::PeerStats;

/// How a send or receive waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// As the socket's time-out option says.
    Block,
    /// Not at all (`ZMQ_DONTWAIT`).
    Never,
}

/// A ZeroMQ socket. All calls may be made from several threads at a time.
///
/// Dropping it closes it; what is queued is sent within the linger time.
///
/// Source: `zmq_socket`(3).
pub struct Socket {
    core: BiasedMutex<Core>,
    inbox: Arc<Inbox>,
    socket_type: SocketType,
    counters: Arc<SocketCounters>,
    monitor: Arc<MonitorHub>,
    context: Arc<ContextInner>,
    /// Longest part that the context allows, in bytes (`ZMQ_MAX_MSGSZ`).
    allowed: usize,
    /// Longest part that may be sent, in bytes: what is allowed, or less if there is a datagram socket among the
    /// endpoints.
    longest: AtomicUsize,
}

/// The socket's state, under its lock.
struct Core {
    options: SocketOptions,
    pattern: Box<dyn Pattern>,
    pipes: Pipes,
    /// Pipes that were closed by the pattern while something was queued for their peers.
    retired: Vec<PipeEnd>,
    news: Vec<News>,
    /// What of the inbox has been seen; a sleep ends with more.
    seen: u64,
    endpoints: Vec<Record>,
    last_endpoint: String,
    receive_more: bool,
    direct: Direct,
    closed: bool,
    /// Whether large received bodies may share the buffer they were read into (`ZMQ_ZERO_COPY_RECV`).
    zero_copy: bool,
    /// Given up when the socket is closed.
    live: Option<Live>,
}

/// A send that waits.
#[derive(Default)]
struct Waiting {
    /// `None` until it is known; then, without a limit, `Some(None)`.
    deadline: Option<Option<Instant>>,
    /// How long it waits for the connection of `deep` alone.
    patience: Option<Instant>,
    /// See [`Pipes::take_deep`].
    deep: Option<usize>,
}

impl Socket {
    pub(crate) fn new(context: &Context, socket_type: SocketType) -> Result<Self> {
        let pattern = pattern::new(socket_type);
        let inbox = Inbox::new();
        let (live, context_options) = context.inner.admit(&inbox)?;
        let options = SocketOptions::new(socket_type, &context_options)?;
        let counters = Arc::<SocketCounters>::default();
        let direct = Direct::new(pattern.sends_by_input());
        let mut core = Core {
            options,
            pattern,
            pipes: Pipes::new(Arc::clone(&counters)),
            retired: Vec::new(),
            news: Vec::new(),
            seen: 0,
            endpoints: Vec::new(),
            last_endpoint: String::new(),
            receive_more: false,
            direct,
            closed: false,
            zero_copy: context_options.zero_copy_receive,
            live: Some(live),
        };
        core.pattern.configure(&core.options);
        let allowed = match usize::try_from(context_options.max_message_size) {
            Ok(size) if context_options.max_message_size < i32::MAX => size,
            _ => usize::MAX,
        };
        Ok(Socket {
            core: BiasedMutex::new(core),
            inbox,
            socket_type,
            counters,
            monitor: Arc::default(),
            context: Arc::clone(&context.inner),
            allowed,
            longest: AtomicUsize::new(allowed),
        })
    }

    /// The socket's type.
    pub fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// What the engine did for this socket so far.
    pub fn stats(&self) -> SocketStats {
        self.counters.read()
    }

    pub(crate) fn monitor_hub(&self) -> &Arc<MonitorHub> {
        &self.monitor
    }

    #[inline(always)]
    fn lock(&self) -> BiasedGuard<'_, Core> {
        // A panic under the lock would be a defect of ours; the socket's invariants are per call, so that
        // going on harms nobody else.
        self.core.lock()
    }

    /// Locks the socket for a call: it must be open and its context not ending; news is taken in.
    #[inline(always)]
    fn enter(&self) -> Result<BiasedGuard<'_, Core>> {
        let mut core = self.lock();
        self.look_around(&mut core)?;
        Ok(core)
    }

    /// What [`enter`](Self::enter) does once it has the lock. Apart, for the calls that come with every message: a guard
    /// that is moved in and out of a `Result` passes through memory.
    #[inline(always)]
    fn look_around(&self, core: &mut Core) -> Result<()> {
        if core.closed || self.inbox.has_news() {
            return self.take_news(core);
        }
        Ok(())
    }

    /// As [`enter`](Self::enter), for a call that tells nothing of the socket's readiness: who polls the
    /// descriptor has still to learn of the news that was taken in here.
    fn enter_aside(&self) -> Result<BiasedGuard<'_, Core>> {
        let mut core = self.lock();
        if core.closed {
            return Err(Error::Closed);
        }
        // Asked once: news that comes between two questions would be taken in and told to nobody.
        if self.inbox.has_news() {
            let taken = self.take_news(&mut core);
            self.inbox.nudge_watcher();
            taken?;
        }
        Ok(core)
    }

    /// Takes in the news. Fails if the context is ending.
    #[cold]
    fn take_news(&self, core: &mut Core) -> Result<()> {
        if core.closed {
            return Err(Error::Closed);
        }
        let mut news = std::mem::take(&mut core.news);
        core.seen = self.inbox.collect(&mut news);
        for item in news.drain(..) {
            core.take_in(item, &self.inbox);
        }
        core.news = news;
        core.news.shrink_to(KEPT_NEWS);
        if self.inbox.is_terminated() { Err(Error::Terminated) } else { Ok(()) }
    }

    // --- sending and receiving ---

    /// Sends one part. `body` is taken or copied only on success.
    #[inline(always)]
    pub(crate) fn send_body(&self, body: &mut Body<'_>, more: bool, wait: Wait) -> Result<()> {
        // Relaxed: a send beside a bind may take either for the first.
        if body.as_slice().len() > self.longest.load(Ordering::Relaxed) {
            return Err(Error::MessageTooLong);
        }
        let mut core = self.lock();
        self.look_around(&mut core)?;
        if core.look_before_sending(&self.inbox) && self.inbox.has_news() {
            // The I/O thread came first.
            self.take_news(&mut core)?;
        }
        core.pipes.patient = wait == Wait::Block && core.options.send_timeout != 0;
        match self.try_send_body(&mut core, body, more) {
            Ok(()) => Ok(()),
            Err(refusal) => self.send_refused(core, refusal, body, more, wait),
        }
    }

    #[inline(always)]
    fn try_send_body(
        &self,
        core: &mut Core,
        body: &mut Body<'_>,
        more: bool,
    ) -> std::result::Result<(), Refusal> {
        let sent = core.pattern.send(&mut core.pipes, body, more);
        core.close_refused(&self.inbox);
        sent
    }

    /// Goes on with a message that was refused: waits for room, if it may, and tries again.
    #[cold]
    #[inline(never)]
    fn send_refused<'a>(
        &'a self,
        mut core: BiasedGuard<'a, Core>,
        mut refusal: Refusal,
        body: &mut Body<'_>,
        more: bool,
        wait: Wait,
    ) -> Result<()> {
        let mut waiting = Waiting::default();
        loop {
            if let Refusal::Failed(error) = refusal {
                return Err(*error);
            }
            core = self.wait_for_room(core, wait, &mut waiting)?;
            match self.try_send_body(&mut core, body, more) {
                Ok(()) => return Ok(()),
                Err(again) => refusal = again,
            }
        }
    }

    /// Waits until a message that was refused may be tried again.
    fn wait_for_room<'a>(
        &'a self,
        mut core: BiasedGuard<'a, Core>,
        wait: Wait,
        waiting: &mut Waiting,
    ) -> Result<BiasedGuard<'a, Core>> {
        let timeout = core.options.send_timeout;
        let waits = wait == Wait::Block && timeout != 0;
        if core.collect_credit(waits) {
            return Ok(core);
        }
        if !waits {
            if core.pipes.has_refused() {
                // Whoever watches the descriptor for room finds some as soon as he asks.
                self.inbox.nudge_watcher();
            }
            return Err(Error::WouldBlock);
        }
        let deadline = *waiting.deadline.get_or_insert_with(|| deadline_after(timeout));
        // Once a pipe has refused it the pattern does not ask it again before there is news of it, or patience ends.
        waiting.deep = core.pipes.take_deep().or(waiting.deep);
        if let Some(index) = waiting.deep
            && core.take_over(index)
        {
            waiting.deep = None;
            return Ok(core);
        }
        let patience = waiting.deep.map(|index| {
            *waiting.patience.get_or_insert_with(|| {
                core.pipes.count_paced(index);
                Instant::now() + PATIENCE
            })
        });
        let seen = core.seen;
        drop(core);
        let ended = self.inbox.sleep(seen, deadline.into_iter().chain(patience).min());
        let mut core = self.lock();
        self.take_news(&mut core)?;
        match waiting.deep {
            Some(_) if ended == Ended::Woken => {}
            Some(index) => {
                core.hurry(index);
                // Whoever else waits for room finds some too.
                self.inbox.nudge();
                waiting.deep = None;
            }
            None => go_on(ended)?,
        }
        Ok(core)
    }

    /// Receives one part. Returns whether another follows.
    #[inline(always)]
    pub(crate) fn receive_into(&self, sink: &mut Sink<'_>, wait: Wait) -> Result<bool> {
        let mut core = self.lock();
        self.look_around(&mut core)?;
        match self.try_receive_into(&mut core, sink) {
            Ok(more) => Ok(more),
            Err(refusal) => self.receive_refused(core, refusal, sink, wait),
        }
    }

    #[inline(always)]
    fn try_receive_into(&self, core: &mut Core, sink: &mut Sink<'_>) -> std::result::Result<bool, Refusal> {
        let received = core.pattern.receive(&mut core.pipes, sink);
        if let Ok(more) = received {
            core.receive_more = more;
            core.pipes.receives = core.pipes.receives.wrapping_add(1);
        }
        core.close_refused(&self.inbox);
        received
    }

    /// Goes on with a receive that found nothing: waits, if it may, and tries again.
    #[cold]
    #[inline(never)]
    fn receive_refused<'a>(
        &'a self,
        mut core: BiasedGuard<'a, Core>,
        mut refusal: Refusal,
        sink: &mut Sink<'_>,
        wait: Wait,
    ) -> Result<bool> {
        let mut deadline = None;
        loop {
            if let Refusal::Failed(error) = refusal {
                return Err(*error);
            }
            let timeout = core.options.receive_timeout;
            if wait == Wait::Never || timeout == 0 {
                if !core.look_at_leased(&self.inbox) {
                    return Err(Error::WouldBlock);
                }
            } else {
                let deadline = *deadline.get_or_insert_with(|| deadline_after(timeout));
                let ended;
                (core, ended) = self.wait_for_input(core, deadline);
                self.take_news(&mut core)?;
                go_on(ended)?;
            }
            match self.try_receive_into(&mut core, sink) {
                Ok(more) => return Ok(more),
                Err(again) => refusal = again,
            }
        }
    }

    /// Sends a message, waiting for room as `ZMQ_SNDTIMEO` says. A message marked with
    /// [`Message::set_more`] is not the last part of its multipart message.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] after the time-out, [`Error::WrongState`] if the pattern does not allow a send
    /// now, [`Error::HostUnreachable`] for a SERVER, a PEER, or a ROUTER with `ZMQ_ROUTER_MANDATORY`,
    /// [`Error::InvalidArgument`] for one of several parts if the type's messages have one only,
    /// [`Error::NotSupported`] if the type does not send, [`Error::MessageTooLong`] for a part that the context does
    /// not allow or, on a socket with a `udp` endpoint, that fits no datagram, [`Error::Interrupted`] if a signal ended
    /// the wait, [`Error::Terminated`]. The message comes back with the error.
    ///
    /// Source: `zmq_msg_send`(3).
    pub fn send(&self, message: impl Into<Message>) -> std::result::Result<(), SendError> {
        let message = message.into();
        let more = message.more();
        self.send_message(message, more, Wait::Block)
    }

    /// As [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`Error::WouldBlock`] at once.
    pub fn try_send(&self, message: impl Into<Message>) -> std::result::Result<(), SendError> {
        let message = message.into();
        let more = message.more();
        self.send_message(message, more, Wait::Never)
    }

    /// Sends a part that others will follow (`ZMQ_SNDMORE`). Peers see a multipart message as a whole or not
    /// at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_more(&self, message: impl Into<Message>) -> std::result::Result<(), SendError> {
        self.send_message(message.into(), true, Wait::Block)
    }

    /// Sends a copy of `bytes` as a message of one part. Faster than [`send`](Self::send) for small ones, as no message is made
    /// of them.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// Source: `zmq_send`(3).
    pub fn send_slice(&self, bytes: &[u8]) -> Result<()> {
        self.send_body(&mut Body::Slice(bytes), false, Wait::Block)
    }

    fn send_message(
        &self,
        mut message: Message,
        more: bool,
        wait: Wait,
    ) -> std::result::Result<(), SendError> {
        match self.send_body(&mut Body::Message(&mut message), more, wait) {
            Ok(()) => Ok(()),
            Err(error) => Err(SendError { error, message }),
        }
    }

    /// Sends all parts of a multipart message. Sends nothing if there are none.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), from the first part; later parts do not wait.
    pub fn send_multipart<I>(&self, parts: I) -> std::result::Result<(), SendError>
    where
        I: IntoIterator,
        I::Item: Into<Message>,
    {
        let mut parts = parts.into_iter().map(Into::into).peekable();
        while let Some(part) = parts.next() {
            let more = parts.peek().is_some();
            self.send_message(part, more, Wait::Block)?;
        }
        Ok(())
    }

    /// Receives one part, waiting as `ZMQ_RCVTIMEO` says. [`Message::more`] tells whether another follows.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] after the time-out, [`Error::WrongState`] if the pattern does not allow a
    /// receive now, [`Error::NotSupported`] if the type does not receive, [`Error::Interrupted`] if a signal
    /// ended the wait, [`Error::Terminated`].
    ///
    /// Source: `zmq_msg_recv`(3).
    pub fn recv(&self) -> Result<Message> {
        self.receive_message(Wait::Block)
    }

    /// As [`recv`](Self::recv), but never waits.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); [`Error::WouldBlock`] at once.
    pub fn try_recv(&self) -> Result<Message> {
        self.receive_message(Wait::Never)
    }

    /// As [`recv`](Self::recv), into `message`, which stays as it is on failure. Faster for small messages that are received
    /// one after the other: the memory of the last is used again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_message(&self, message: &mut Message) -> Result<()> {
        self.receive_in_place(message, Wait::Block)
    }

    #[inline(always)]
    pub(crate) fn receive_in_place(&self, message: &mut Message, wait: Wait) -> Result<()> {
        let more = self.receive_into(&mut Sink::Message(message), wait)?;
        message.set_more(more);
        Ok(())
    }

    fn receive_message(&self, wait: Wait) -> Result<Message> {
        let mut message = Message::new();
        self.receive_in_place(&mut message, wait)?;
        Ok(message)
    }

    /// Receives one part into `buffer` and returns its full length; what does not fit is lost.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// Source: `zmq_recv`(3).
    pub fn recv_into(&self, buffer: &mut [u8]) -> Result<usize> {
        self.receive_slice(buffer, Wait::Block)
    }

    pub(crate) fn receive_slice(&self, buffer: &mut [u8], wait: Wait) -> Result<usize> {
        let mut sink = Sink::Slice { buffer, len: 0 };
        self.receive_into(&mut sink, wait)?;
        match sink {
            Sink::Slice { len, .. } => Ok(len),
            Sink::Message(_) => Ok(0),
        }
    }

    /// Receives all parts of a message.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), from the first part; the others are there with it.
    pub fn recv_multipart(&self) -> Result<Multipart> {
        let mut parts = vec![self.recv()?];
        while parts.last().is_some_and(Message::more) {
            parts.push(self.recv()?);
        }
        Ok(parts)
    }

    // --- groups ---

    /// Joins a group: a DISH receives what RADIO peers send to the groups it has joined. 0 to 255 bytes, none of
    /// them zero.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the name is not such, or the group is joined already;
    /// [`Error::NotSupported`] if the socket is no DISH.
    ///
    /// Source: `zmq_join`; 48/RADIO-DISH.
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<()> {
        self.change_group(group.as_ref(), true)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the group is not joined; [`Error::NotSupported`] if the socket is no DISH.
    ///
    /// Source: `zmq_leave`; 48/RADIO-DISH.
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<()> {
        self.change_group(group.as_ref(), false)
    }

    fn change_group(&self, group: &[u8], add: bool) -> Result<()> {
        let mut core = self.enter_aside()?;
        let Core { pattern, pipes, .. } = &mut *core;
        pattern.join(pipes, group, add)?;
        core.close_refused(&self.inbox);
        Ok(())
    }

    // --- readiness ---

    /// Whether a receive and a send would go on without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`], [`Error::Closed`].
    ///
    /// Source: `ZMQ_EVENTS`.
    pub fn readiness(&self) -> Result<Readiness> {
        let mut core = self.enter()?;
        let readiness = core.readiness(&self.inbox);
        core.close_refused(&self.inbox);
        Ok(readiness)
    }

    /// Whether a message to the peer of that routing id would be sent without waiting, or without being dropped. ROUTER
    /// only.
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] for other types, [`Error::HostUnreachable`] if there is no such peer,
    /// [`Error::Terminated`], [`Error::Closed`].
    ///
    /// Source: `zmq_socket_get_peer_state` of `zmq.h`, which has no manual page.
    pub fn peer_is_writable(&self, routing_id: &[u8]) -> Result<bool> {
        let mut core = self.enter_aside()?;
        let Core { pattern, pipes, .. } = &mut *core;
        pattern.peer_has_room(pipes, routing_id)
    }

    /// Closes the socket. What is queued is sent within the linger time. Calls that wait fail with
    /// [`Error::Closed`].
    pub fn close(&self) {
        let mut core = self.lock();
        if core.closed {
            return;
        }
        core.closed = true;
        self.close_bound(&mut core);
        self.monitor.set(0, None);
        // Nobody comes from here on. Pipes that have come but were not taken in must be closed too.
        self.inbox.close();
        let mut news = std::mem::take(&mut core.news);
        core.seen = self.inbox.collect(&mut news);
        for item in news.drain(..) {
            core.take_in(item, &self.inbox);
        }
        self.close_connects(&mut core);
        let linger = linger_time(core.options.linger);
        let indexes: Vec<usize> = core.pipes.indexes().collect();
        core.direct.give_back();
        for index in indexes {
            if let Some(mut pipe) = core.pipes.remove(index) {
                pipe.close(linger);
            }
        }
        core.retired.drain(..).for_each(|mut pipe| pipe.close(linger));
        self.context.names.leave_pending(&self.inbox, linger);
        core.live = None;
        drop(core);
        self.inbox.nudge();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

/// The parts of a multipart message.
pub type Multipart = Vec<Message>;

/// What a socket can do without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A receive.
    pub readable: bool,
    /// A send.
    pub writable: bool,
}

/// So many news at a time are common; memory for more is given back.
const KEPT_NEWS: usize = 1024;
/// How long a send waits at most while the mark is not reached.
const PATIENCE: Duration = Duration::from_millis(2);

/// The deadline of a time-out option: milliseconds, −1 for none.
fn deadline_after(timeout: i32) -> Option<Instant> {
    u64::try_from(timeout).ok().map(|timeout| Instant::now() + Duration::from_millis(timeout))
}

/// Whether a call that has waited looks again.
fn go_on(ended: Ended) -> Result<()> {
    match ended {
        Ended::Woken => Ok(()),
        Ended::TimedOut => Err(Error::WouldBlock),
        Ended::Interrupted => Err(Error::Interrupted),
    }
}

/// The value of `ZMQ_LINGER` as a duration; `None` is without end.
fn linger_time(linger: i32) -> Option<Duration> {
    u64::try_from(linger).ok().map(Duration::from_millis)
}

impl Core {
    fn take_in(&mut self, news: News, inbox: &Arc<Inbox>) {
        match news {
            News::Attached(attachment) => self.attach(*attachment, inbox),
            News::Readable(id) => {
                let Some(index) = self.pipes.find(id) else { return self.forget_retired(id, inbox) };
                let Some(pipe) = self.pipes.get(index) else { return };
                if self.pattern.ignores_input() {
                    pipe.discard_input();
                }
                let over = pipe.is_over();
                // A pattern that takes in what it reads (subscriptions) gets the last of it first.
                if !over || pipe.is_gone() {
                    self.pattern.readable(&mut self.pipes, index);
                }
                if over {
                    self.detach(index, inbox);
                }
            }
            News::Writable(id) => {
                if let Some(index) = self.pipes.find(id) {
                    self.pattern.writable(&mut self.pipes, index);
                }
            }
            News::Reconnected(id, info) => {
                let Some(index) = self.pipes.find(id) else { return };
                let Some(pipe) = self.pipes.get(index) else { return };
                pipe.set_peer(info, self.options.receive_hwm as usize);
                self.pattern.reconnected(&mut self.pipes, index);
                if let Some(pipe) = self.pipes.get(index) {
                    pipe.was_connected = true;
                }
                self.direct.changed();
            }
            News::Disconnected(id) => {
                if let Some(index) = self.pipes.find(id) {
                    self.pattern.disconnected(&mut self.pipes, index);
                    self.direct.changed();
                }
            }
        }
        self.close_refused(inbox);
    }

    fn attach(&mut self, attachment: Attachment, inbox: &Arc<Inbox>) {
        let endpoint = attachment.endpoint;
        let pipe = PipeEnd::new(attachment, self.options.receive_hwm as usize, self.zero_copy);
        let id = pipe.id;
        let index = self.pipes.insert(pipe);
        self.direct.changed();
        if let Some(endpoint) = endpoint {
            self.endpoint_got_pipe(endpoint, id);
        }
        if !self.pattern.attached(&mut self.pipes, index) {
            self.pipes.close_later(index);
        }
        if let Some(name) = self.pattern.name_given() {
            // STREAM tells by it what name the peer connected to last goes by.
            self.options.routing_id = name;
        }
        self.close_refused(inbox);
    }

    /// Removes a pipe whose peer is gone.
    fn detach(&mut self, index: usize, inbox: &Arc<Inbox>) {
        if self.pipes.get(index).is_none() {
            return;
        }
        self.pattern.detached(&mut self.pipes, index);
        self.direct.forget(index);
        if let Some(mut pipe) = self.pipes.remove(index) {
            pipe.close(Some(Duration::ZERO));
            inbox.free(pipe.id);
        }
    }

    /// Closes a pipe whose peer is still to get what is queued for it.
    #[cold]
    fn retire(&mut self, index: usize, inbox: &Arc<Inbox>) {
        if self.pipes.get(index).is_none() {
            return;
        }
        self.pattern.detached(&mut self.pipes, index);
        self.direct.forget(index);
        if let Some(mut pipe) = self.pipes.remove(index) {
            // Without end: the peer's going, or the socket's, will tell. Its name is in use until then.
            pipe.close(None);
            let id = pipe.id;
            self.retired.push(pipe);
            self.forget_retired(id, inbox);
        }
    }

    /// There is news of a pipe that is not there any more: drops what came of it, and the pipe if that was the last.
    #[cold]
    fn forget_retired(&mut self, id: PipeId, inbox: &Arc<Inbox>) {
        let Some(at) = self.retired.iter().position(|pipe| pipe.id == id) else { return };
        self.retired[at].discard_input();
        if self.retired[at].is_over() {
            self.retired.swap_remove(at);
            inbox.free(id);
        }
    }

    /// Closes the pipes that the pattern has asked to have closed.
    #[inline]
    fn close_refused(&mut self, inbox: &Arc<Inbox>) {
        while let Some(index) = self.pipes.take_to_retire() {
            self.retire(index, inbox);
        }
        while let Some(index) = self.pipes.take_to_close() {
            self.detach(index, inbox);
        }
    }

    /// Lets the room count that sent messages have left, where it was withheld. Returns whether there is some.
    #[inline]
    fn collect_credit(&mut self, waits: bool) -> bool {
        if !self.pipes.has_refused() {
            return false;
        }
        let roomier = self.pipes.collect_credit(waits);
        for &index in &roomier {
            self.pattern.writable(&mut self.pipes, index);
        }
        !roomier.is_empty()
    }

    /// Has the sender write what he waits for to be written, if he can. Returns whether it is.
    fn take_over(&mut self, index: usize) -> bool {
        let done = self.pipes.take_over(index);
        if done {
            self.pattern.writable(&mut self.pipes, index);
        }
        done
    }

    /// Ends the sender's patience with a pipe that has room but would take it slowly.
    #[cold]
    fn hurry(&mut self, index: usize) {
        self.pipes.hurry(index);
        self.pattern.writable(&mut self.pipes, index);
    }

    fn readiness(&mut self, inbox: &Inbox) -> Readiness {
        self.collect_credit(true);
        let mut readable = self.pattern.can_receive(&mut self.pipes);
        if !readable && self.look_at_leased(inbox) {
            readable = self.pattern.can_receive(&mut self.pipes);
        }
        Readiness { readable, writable: self.pattern.can_send(&mut self.pipes) }
    }
}
