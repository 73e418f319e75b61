//! The I/O thread: an epoll loop that owns listeners and sessions.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use zlink_pipe::Watch;

use super::connection::{Connection, WriteTurn};
use super::datagram::DatagramSession;
use super::listener::{BoundEndpoint, ListenerHandle};
use super::session::{ConnectTo, Port, Session, SessionHandle};
use crate::reactor::{Alarm, Epoll, Events, Interest, Scheduling, TimerId, Timers, Waker, block_signals};
use crate::transport::Resolver;

/// How often a stream that its producer writes is looked after: the longest a rest of it may lie there.
const WATCH_INTERVAL: Duration = Duration::from_micros(50);
/// So many streams are not taken to be over as soon as nothing comes of them.
const MANY_STREAMS: usize = 4;
/// How often leases are looked after; one whose holder has not come by for this long is taken back.
const LEASE_INTERVAL: Duration = Duration::from_millis(2);
/// Looks at leases whose holder was waiting each time, before nobody looks any more.
const LEASE_PATIENCE: u32 = 8;
const WAKER_TOKEN: u64 = u64::MAX;
const ALARM_TOKEN: u64 = u64::MAX - 1;

/// Names a bound or connected endpoint for unbind and disconnect. Unique within the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EndpointId(u64);

/// Keys of sessions and listeners, and endpoint ids: never used twice.
pub(super) fn next_key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl EndpointId {
    pub(crate) fn new() -> Self {
        EndpointId(next_key())
    }
}

/// How long a thread sleeps on that is to be woken soon.
const SOON: Duration = Duration::from_micros(50);

/// What other threads ask of an I/O thread.
pub(crate) enum Command {
    Listen {
        id: EndpointId,
        listener: Arc<ListenerHandle>,
        port: Arc<Port>,
    },
    Connect {
        to: Box<ConnectTo>,
        port: Arc<Port>,
        handle: Arc<SessionHandle>,
    },
    /// Look after a datagram socket, bound or connected.
    Exchange(Box<DatagramSession>),
    /// Unbind, or give up connecting without a pipe.
    CloseEndpoint(EndpointId),
    /// Unbind, with the connections that were accepted: they may write what is queued for the linger time.
    Unbind {
        id: EndpointId,
        linger: Option<Duration>,
    },
    /// Something has gathered in a session's pipe.
    Flush(u64),
    /// A stream is written by its producer from now on: look after it.
    Watch(u64),
    /// A socket's queue has room again.
    Resume(u64),
    /// A socket has not taken what was read ahead of it: it is given a moment to.
    Rest {
        key: u64,
        left: Duration,
    },
    /// An application thread has taken a connection's lease; with `Review`, looks are wanted again.
    Leased(u64),
    Review(u64),
    /// A connection broke on an application thread.
    Failed(u64),
    /// The socket has done with the pipe: write what is in it, for at most the linger time.
    ClosePipe {
        key: u64,
        linger: Option<Duration>,
    },
    /// A session's question to the ZAP handler was answered, or nobody is there to answer it.
    Verdict(u64),
    /// A name was resolved.
    Resolved {
        key: u64,
        result: io::Result<Vec<std::net::SocketAddr>>,
    },
    Stop,
}

#[derive(Default)]
struct Mailbox {
    commands: Vec<Command>,
    asleep: bool,
    /// The alarm is set: it ends the sleep soon.
    alarmed: bool,
}

/// The part of an I/O thread that other threads see.
pub(crate) struct IoShared {
    mailbox: Mutex<Mailbox>,
    waker: Waker,
    alarm: Alarm,
    pub(super) epoll: Epoll,
    /// Sessions and listeners, to spread new ones.
    pub(crate) load: AtomicUsize,
    pub(super) resolver: Resolver,
}

impl IoShared {
    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn post(&self, command: Command) {
        let mut mailbox = self.lock();
        mailbox.commands.push(command);
        let asleep = std::mem::take(&mut mailbox.asleep);
        drop(mailbox);
        if asleep {
            self.waker.wake();
        }
    }

    /// As [`post`](Self::post), for a command that there will be nothing left to do for if it is obeyed a moment later.
    pub(crate) fn post_soon(&self, command: Command) {
        let mut mailbox = self.lock();
        mailbox.commands.push(command);
        if !mailbox.asleep || mailbox.alarmed {
            return;
        }
        mailbox.alarmed = self.alarm.set(SOON);
        if !mailbox.alarmed {
            mailbox.asleep = false;
            drop(mailbox);
            self.waker.wake();
        }
    }
}

/// A running I/O thread.
pub(crate) struct IoThread {
    pub(crate) shared: Arc<IoShared>,
    thread: Option<JoinHandle<()>>,
}

impl IoThread {
    /// Starts a thread called `name`. Fails if it cannot be scheduled as asked.
    pub(crate) fn start(name: String, scheduling: Scheduling) -> io::Result<Self> {
        let shared = Arc::new(IoShared {
            mailbox: Mutex::default(),
            waker: Waker::new()?,
            alarm: Alarm::new()?,
            epoll: Epoll::new()?,
            load: AtomicUsize::new(0),
            resolver: Resolver::new(),
        });
        shared.epoll.add(shared.waker.as_fd(), WAKER_TOKEN, Interest::READ)?;
        shared.epoll.add(shared.alarm.as_fd(), ALARM_TOKEN, Interest::READ)?;
        let mut loop_state = Thread::new(Arc::clone(&shared));
        let (tell, told) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name).spawn(move || {
            block_signals();
            let scheduled = scheduling.apply();
            let runs = scheduled.is_ok();
            // Whoever starts the thread waits for it.
            let _ = tell.send(scheduled);
            if runs {
                loop_state.run();
            }
        })?;
        let thread = IoThread { shared, thread: Some(thread) };
        // A thread that ended without a word has panicked.
        told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())).map(|()| thread)
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        self.shared.post(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // An I/O thread that panicked has nothing more to say here.
            let _ = thread.join();
        }
        // Others may still hold what the two share.
        self.shared.resolver.close();
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimerKey {
    /// A session's own deadline.
    Session(u64),
    /// A connection's heartbeat.
    Heartbeat(u64),
    /// A batch that waits for more has waited long enough.
    Batch(u64),
    /// The socket's linger time is over.
    Linger(u64),
    /// A listener that ran out of descriptors.
    Accept(u64),
    Watch,
    Leases,
    /// A connection that is read no further for a moment.
    Rest(u64),
}

enum Object {
    Listener(BoundEndpoint),
    Session(Box<Session>),
    Datagrams(Box<DatagramSession>),
}

impl Object {
    fn end(self, thread: &mut Thread) {
        match self {
            Object::Listener(listener) => listener.close(),
            Object::Session(session) => session.abandon(thread),
            Object::Datagrams(session) => session.abandon(thread),
        }
    }
}

struct Leased {
    connection: Arc<Connection>,
    last_visit: u64,
    quiet: u32,
}

/// The loop's own state.
pub(super) struct Thread {
    pub(super) shared: Arc<IoShared>,
    objects: HashMap<u64, Object>,
    timers: Timers<TimerKey>,
    watched: Vec<u64>,
    leased: Vec<Leased>,
    /// Sessions made while another object was being served; boxed as they will stay.
    #[expect(clippy::vec_box, reason = "a session is large and moves from here into its object")]
    new_sessions: Vec<Box<Session>>,
    stopping: bool,
}

impl Thread {
    fn new(shared: Arc<IoShared>) -> Self {
        Thread {
            shared,
            objects: HashMap::new(),
            timers: Timers::new(),
            watched: Vec::new(),
            leased: Vec::new(),
            new_sessions: Vec::new(),
            stopping: false,
        }
    }

    pub(super) fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId {
        self.timers.insert(Instant::now() + after, key)
    }

    pub(super) fn set_timer_at(&mut self, at: Instant, key: TimerKey) -> TimerId {
        self.timers.insert(at, key)
    }

    pub(super) fn cancel_timer(&mut self, timer: &mut Option<TimerId>) {
        if let Some(timer) = timer.take() {
            self.timers.cancel(timer);
        }
    }

    pub(super) fn add_session(&mut self, session: Box<Session>) {
        self.new_sessions.push(session);
    }

    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        let mut commands = Vec::new();
        while !self.stopping {
            let timeout = self.timers.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            let quiet = {
                let mut mailbox = self.shared.lock();
                mailbox.asleep = mailbox.commands.is_empty();
                mailbox.asleep
            };
            let timeout = if quiet { timeout } else { Some(Duration::ZERO) };
            if self.shared.epoll.wait(&mut events, timeout).is_err() {
                // Not a failure that waiting again could repeat without end: the set and the buffer are
                // valid, so only a signal gets here, and the thread blocks those that can be blocked.
                continue;
            }
            for event in events.iter() {
                if event.token == WAKER_TOKEN {
                    self.shared.waker.drain();
                    continue;
                }
                if event.token == ALARM_TOKEN {
                    self.shared.alarm.drain();
                    continue;
                }
                self.serve(event.token, |object, key, thread| match object {
                    Object::Listener(listener) => {
                        listener.accept(key, thread);
                        true
                    }
                    Object::Session(session) => {
                        session.ready(event.readable, event.writable, event.hangup, thread)
                    }
                    Object::Datagrams(session) => {
                        session.ready(event.readable, event.writable, event.hangup, thread)
                    }
                });
            }
            {
                let mut mailbox = self.shared.lock();
                (mailbox.asleep, mailbox.alarmed) = (false, false);
                std::mem::swap(&mut mailbox.commands, &mut commands);
            }
            for command in commands.drain(..) {
                self.obey(command);
            }
            let now = Instant::now();
            while let Some((_, key)) = self.timers.pop_expired(now) {
                self.expire(key);
            }
        }
        for (_, object) in self.objects.drain().collect::<Vec<_>>() {
            object.end(self);
        }
    }

    /// Calls `serve` with the object under `key`, which is removed if that returns false.
    fn serve(&mut self, key: u64, serve: impl FnOnce(&mut Object, u64, &mut Thread) -> bool) {
        // Taken out while it is served, so that it may use the thread.
        let Some(mut object) = self.objects.remove(&key) else { return };
        if serve(&mut object, key, self) {
            self.objects.insert(key, object);
        } else {
            self.shared.load.fetch_sub(1, Ordering::Relaxed);
            object.end(self);
        }
        for session in std::mem::take(&mut self.new_sessions) {
            self.insert(session.key(), Object::Session(session));
        }
    }

    fn serve_session(&mut self, key: u64, serve: impl FnOnce(&mut Session, &mut Thread) -> bool) {
        self.serve(key, |object, _, thread| match object {
            Object::Session(session) => serve(session, thread),
            Object::Listener(_) | Object::Datagrams(_) => true,
        });
    }

    fn serve_datagrams(&mut self, key: u64, serve: impl FnOnce(&mut DatagramSession, &mut Thread) -> bool) {
        self.serve(key, |object, _, thread| match object {
            Object::Datagrams(session) => serve(session, thread),
            Object::Listener(_) | Object::Session(_) => true,
        });
    }

    fn insert(&mut self, key: u64, object: Object) {
        self.shared.load.fetch_add(1, Ordering::Relaxed);
        self.objects.insert(key, object);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Listen { id, listener, port } => {
                let (key, endpoint) = (next_key(), BoundEndpoint { id, listener, port });
                endpoint.watch(key);
                self.insert(key, Object::Listener(endpoint));
            }
            Command::Connect { to, port, handle } => {
                let key = handle.key;
                self.insert(key, Object::Session(Session::connecting(*to, port, handle)));
                self.serve_session(key, Session::connect);
            }
            Command::Exchange(session) => {
                let key = session.key();
                self.insert(key, Object::Datagrams(session));
                self.serve_datagrams(key, DatagramSession::start);
            }
            Command::CloseEndpoint(id) => self.close_endpoint(id),
            Command::Unbind { id, linger } => self.unbind(id, linger),
            Command::Flush(key) => self.flush(key),
            Command::Watch(key) => self.watch(key),
            Command::Resume(key) => self.resume(key),
            Command::Rest { key, left } => {
                self.set_timer(left, TimerKey::Rest(key));
            }
            Command::Leased(key) => self.look_after_lease(key),
            Command::Review(key) => self.look_after_lease(key),
            Command::Failed(key) => self.serve_session(key, Session::connection_failed),
            Command::ClosePipe { key, linger } => self.serve(key, |object, _, thread| match object {
                Object::Session(session) => session.close(linger, thread),
                Object::Datagrams(session) => session.close(linger, thread),
                Object::Listener(_) => true,
            }),
            Command::Verdict(key) => self.serve_session(key, Session::verdict),
            Command::Resolved { key, result } => {
                self.serve_session(key, |session, thread| session.resolved(result, thread));
            }
            Command::Stop => self.stopping = true,
        }
    }

    fn expire(&mut self, key: TimerKey) {
        match key {
            TimerKey::Session(key) => self.serve_session(key, Session::timeout),
            TimerKey::Heartbeat(key) => self.serve_session(key, Session::heartbeat),
            TimerKey::Batch(key) => self.serve_session(key, Session::batch_timeout),
            TimerKey::Linger(key) => self.serve(key, |_, _, _| false),
            TimerKey::Accept(key) => self.serve(key, |object, key, _| {
                if let Object::Listener(listener) = object {
                    listener.resume(key);
                }
                true
            }),
            TimerKey::Watch => self.look_at_streams(),
            TimerKey::Leases => self.look_at_leases(),
            TimerKey::Rest(key) => self.connection(key).into_iter().for_each(|it| it.review_rest()),
        }
    }

    fn close_endpoint(&mut self, id: EndpointId) {
        let found = self.objects.iter().find_map(|(key, object)| match object {
            Object::Listener(listener) if listener.id == id => Some(*key),
            Object::Session(session) if session.endpoint_id() == Some(id) => Some(*key),
            _ => None,
        });
        let Some(key) = found else { return };
        // The socket knows nothing of those whose handshake is under way, so it cannot end them itself.
        for key in self.accepted_at(key, Session::is_knocking) {
            self.serve(key, |_, _, _| false);
        }
        self.serve(key, |_, _, _| false);
    }

    /// Closes a listener and its connections, which have `linger` to write what is queued.
    fn unbind(&mut self, id: EndpointId, linger: Option<Duration>) {
        let is_it = |object: &Object| matches!(object, Object::Listener(listener) if listener.id == id);
        let Some(key) = self.objects.iter().find_map(|(key, object)| is_it(object).then_some(*key)) else {
            return;
        };
        for key in self.accepted_at(key, |session| !session.is_knocking()) {
            self.serve_session(key, |session, thread| session.unbind(linger, thread));
        }
        self.close_endpoint(id);
    }

    /// The sessions accepted at the listener under `key`, if it is one, that are `such`.
    fn accepted_at(&self, key: u64, such: impl Fn(&Session) -> bool) -> Vec<u64> {
        let Some(Object::Listener(listener)) = self.objects.get(&key) else { return Vec::new() };
        let accepted = |(key, object): (&u64, &Object)| match object {
            Object::Session(session) if session.is_accepted_at(&listener.port) && such(session) => Some(*key),
            _ => None,
        };
        self.objects.iter().filter_map(accepted).collect()
    }

    fn resume(&mut self, key: u64) {
        self.serve(key, |object, _, thread| {
            match object {
                Object::Session(session) => session.connection().into_iter().for_each(|it| it.resume()),
                Object::Datagrams(session) => session.resume(thread),
                Object::Listener(_) => {}
            }
            true
        });
    }

    /// The connection of the session under `key`, if it has one.
    fn connection(&self, key: u64) -> Option<&Arc<Connection>> {
        match self.objects.get(&key)? {
            Object::Session(session) => session.connection(),
            _ => None,
        }
    }

    fn flush(&mut self, key: u64) {
        self.serve(key, |object, _, thread| match object {
            Object::Session(session) => session.flush(thread),
            Object::Datagrams(session) => session.flush(thread),
            Object::Listener(_) => true,
        });
    }

    // --- streams that their producers write ---

    /// Looks after the stream of a session from now on.
    pub(super) fn watch(&mut self, key: u64) {
        if self.watched.is_empty() {
            self.set_timer(WATCH_INTERVAL, TimerKey::Watch);
        }
        if !self.watched.contains(&key) {
            self.watched.push(key);
        }
    }

    fn look_at_streams(&mut self) {
        let watched = std::mem::take(&mut self.watched);
        // To write to many takes a while, in which their producer may not run, if it shares a processor with this thread; and
        // to begin all those streams again takes a write of one message for each.
        let patient = watched.len() >= MANY_STREAMS;
        for key in watched {
            self.serve_session(key, |session, thread| match session.watch_stream(patient) {
                None | Some(Watch::Over) => true,
                Some(Watch::Progress) => {
                    thread.watch(key);
                    true
                }
                Some(Watch::Stalled) => {
                    let keep = session.write_with_token(thread);
                    if keep {
                        thread.watch(key);
                    }
                    keep
                }
            });
        }
    }

    /// Handles the outcome of a turn at writing that leaves something to do.
    pub(super) fn after_write(&mut self, key: u64, turn: WriteTurn) {
        match turn {
            WriteTurn::Idle | WriteTurn::Blocked | WriteTurn::Failed => {}
            WriteTurn::Again => self.shared.post(Command::Flush(key)),
            WriteTurn::Watch => self.watch(key),
        }
    }

    // --- leases ---

    fn look_after_lease(&mut self, key: u64) {
        let Some(connection) = self.connection(key) else { return };
        if self.leased.iter().any(|leased| Arc::ptr_eq(&leased.connection, connection)) {
            return;
        }
        let leased = Leased { connection: Arc::clone(connection), last_visit: 0, quiet: 0 };
        if self.leased.is_empty() {
            self.set_timer(LEASE_INTERVAL, TimerKey::Leases);
        }
        self.leased.push(leased);
    }

    /// Takes back the leases whose holders stay away, and stops looking at those whose holders wait: they
    /// ask for looks again when they have done waiting.
    fn look_at_leases(&mut self) {
        self.leased.retain_mut(|leased| {
            let before = leased.last_visit;
            if !leased.connection.review_lease(&mut leased.last_visit) {
                return false;
            }
            let Some(holder) = leased.connection.lease_holder() else { return false };
            leased.quiet = if before == leased.last_visit { leased.quiet + 1 } else { 0 };
            leased.quiet < LEASE_PATIENCE || !holder.leave_alone()
        });
        if !self.leased.is_empty() {
            self.set_timer(LEASE_INTERVAL, TimerKey::Leases);
        }
    }
}
