//! One established connection, shared by its I/O thread and the application threads that write and read it
//! themselves.
//!
//! Two rights decide who touches the socket. The *writer token* of the pipe's outward queue: its holder,
//! and nobody else, writes. The *lease*: while an application thread holds it, that thread reads and the
//! I/O thread does not watch for input. Locks are taken in the order `read`, `write`, `interest`.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::socket_domain;
use rustix::net::{AddressFamily, Shutdown, shutdown};
use zlink_net::set_receive_low_water;
use zlink_pipe::{Body, Entry, Holder, Queue, Staging};
use zlink_zmtp::cipher::CipherError;
use zlink_zmtp::command;
use zlink_zmtp::frame::{FrameError, MAX_HEADER_LEN, encode_header};

use super::framing::CLOSE;
use super::io_thread::{Command, IoShared};
use super::lease::LeaseHolder;
use super::reader::{DecodeError, Notice, ReadError, ReadHalf};
use super::stats::Counters;
use super::writer::{Progress, TURN_BYTES, WriteHalf};
use crate::inbox::{Inbox, News, PipeId};
use crate::reactor::{Interest, is_writable_within};
use crate::sync::lock;
use crate::transport::Stream;

/// Reads in one turn before the reader looks after something else.
const READS_PER_TURN: usize = 8;
/// A body of which so much is still to come is read when so much of it is there, if it is one of a stream.
const LOW_WATER: u64 = 256 * 1024;
/// Bytes that an I/O thread reads ahead of a socket whose threads read themselves when they have taken what there is.
const READ_AHEAD: usize = 2 << 20;
/// The same for all connections of an I/O thread together, and for each of them at least.
const READ_AHEAD_TOGETHER: usize = 8 << 20;
const READ_AHEAD_AT_LEAST: usize = 80 << 10;
/// How long a socket that waits for its input by itself is given to take what was read ahead of it.
const REST: Duration = Duration::from_millis(10);
/// Bytes that the kernel is to have room for at least, in the receive buffer of a TCP connection.
const RECEIVE_ROOM: i32 = 256 * 1024;
/// A stream that gathers this much while a write is under way is better written by its producer.
const HOT_BYTES: usize = 16 * 1024;

/// How long a sender that may wait does so until the kernel takes more, before it leaves the rest to its I/O thread.
const PAUSE: Duration = Duration::from_micros(300);
/// How long it goes on in that way, message by message.
const PATIENCE: Duration = Duration::from_millis(2);

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// The peer closed it, or the network did.
    Lost,
    /// The peer broke the protocol.
    Protocol,
    /// The peer sent a message longer than `ZMQ_MAXMSGSIZE`.
    TooLarge,
    /// A frame of the peer's could not be opened, or one of ours not be sealed.
    Cipher(CipherError),
    /// The peer was silent for too long.
    HeartbeatTimeout,
}

impl From<&DecodeError> for Failure {
    fn from(error: &DecodeError) -> Self {
        match error {
            DecodeError::Frame(FrameError::TooLarge { .. }) => Failure::TooLarge,
            DecodeError::Frame(_) | DecodeError::Command => Failure::Protocol,
            DecodeError::Closed => Failure::Lost,
            DecodeError::Cipher(error) => Failure::Cipher(*error),
        }
    }
}

/// How an I/O thread's turn at writing ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WriteTurn {
    /// Nothing left to do.
    Idle,
    /// The I/O thread comes back when the socket is writable.
    Blocked,
    /// The budget is used up, or messages gather on purpose; come back soon.
    Again,
    /// The producer writes; look after it from time to time.
    Watch,
    Failed,
}

/// How a turn at reading ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReadTurn {
    /// Messages became visible.
    Data,
    /// Nothing more for now.
    Empty,
    /// The connection is down, or not this thread's to read.
    Down,
}

/// Lets the kernel's receive buffer begin larger than by default, unless `ZMQ_RCVBUF` sets its size.
///
/// The kernel's own 128 KiB hold less than two segments of the loopback interface, and less still of small ones. What
/// does not fit is thrown away, the window shrinks below a segment, and Linux opens it again only when it doubles: a sender
/// with nothing in flight then waits for a probe, 200 ms. To ask for a wake-up at so many bytes makes the kernel see to it that
/// so many fit, and leaves the size to it after that.
fn make_receive_room(fd: BorrowedFd<'_>) {
    // Without it the connection is as good as the kernel's default.
    if set_receive_low_water(fd, RECEIVE_ROOM).is_ok() {
        let _ = set_receive_low_water(fd, 1);
    }
}

struct ReadState {
    half: ReadHalf,
    ready: VecDeque<Entry>,
    notices: Vec<Notice>,
    lease: Option<Arc<LeaseHolder>>,
    /// The socket's queue is full; nobody watches for input, with a lease or without, until it has room.
    paused: bool,
    /// Paused for a moment, since then: so many bytes lie in the queue as the I/O thread reads ahead.
    rests: Option<Instant>,
    /// The I/O thread will look whether that moment is over.
    rest_timed: bool,
    /// How many times its share the I/O thread reads ahead: twice as many each time that nobody came to take that. `None`
    /// where nobody else reads.
    ahead: Option<usize>,
    dead: bool,
    /// Bytes for which the kernel wakes whoever waits; `None` where that cannot be set.
    low_water: Option<i32>,
    /// Messages that were written when it was last read.
    written: u64,
}

pub(crate) struct Connection {
    stream: Stream,
    key: u64,
    io: Arc<IoShared>,
    out: Arc<Queue>,
    inward: Arc<Queue>,
    inbox: Arc<Inbox>,
    pipe: PipeId,
    write: Mutex<WriteHalf>,
    read: Mutex<ReadState>,
    interest: Mutex<Option<Interest>>,
    /// Something has arrived since the heartbeat last looked.
    active: AtomicBool,
    /// Time-to-live of the last PING, in tenths of a second, for the heartbeat; 0 if none.
    ping_ttl: Mutex<Option<u16>>,
    failure: Mutex<Option<Failure>>,
    pub(super) counters: Arc<Counters>,
    /// What gathers during a write waits for its time-out rather than being written next.
    batches_wait: bool,
}

/// What a connection is made of.
pub(super) struct Parts {
    pub(super) stream: Stream,
    pub(super) key: u64,
    pub(super) io: Arc<IoShared>,
    pub(super) out: Arc<Queue>,
    pub(super) inward: Arc<Queue>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) pipe: PipeId,
    pub(super) counters: Arc<Counters>,
    pub(super) batches_wait: bool,
}

impl Connection {
    /// A connection whose handshake is complete. Its descriptor is registered with the I/O thread's epoll
    /// set, for reading.
    pub(super) fn new(parts: Parts, write: WriteHalf, half: ReadHalf) -> Self {
        let domain = socket_domain(&parts.stream);
        let is_tcp = domain.is_ok_and(|it| matches!(it, AddressFamily::INET | AddressFamily::INET6));
        if is_tcp {
            make_receive_room(parts.stream.as_fd());
        }
        let low_water = (is_tcp && parts.stream.is_plain()).then_some(1);
        let leasable = parts.stream.is_plain() && parts.out.is_direct();
        let Parts { stream, key, io, out, inward, inbox, pipe, counters, batches_wait } = parts;
        Connection {
            stream,
            key,
            io,
            out,
            inward,
            inbox,
            pipe,
            write: Mutex::new(write),
            read: Mutex::new(ReadState {
                half,
                ready: VecDeque::new(),
                notices: Vec::new(),
                lease: None,
                paused: false,
                rests: None,
                rest_timed: false,
                ahead: leasable.then_some(1),
                dead: false,
                low_water,
                written: 0,
            }),
            interest: Mutex::new(Some(Interest::READ)),
            active: AtomicBool::new(false),
            ping_ttl: Mutex::new(None),
            failure: Mutex::new(None),
            counters,
            batches_wait,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Changes what the I/O thread watches the socket for.
    fn watch_for(&self, change: impl FnOnce(&mut Interest)) {
        let mut interest = lock(&self.interest);
        // `None`: the connection is down, and the I/O thread has forgotten the socket.
        let Some(now) = interest.as_mut() else { return };
        let before = *now;
        change(now);
        if *now != before && self.io.epoll.modify(self.fd(), self.key, *now).is_err() {
            // It was parked.
            let _ = self.io.epoll.add(self.fd(), self.key, *now);
        }
    }

    /// Notes that the connection broke and tells its I/O thread, which takes it down.
    pub(super) fn fail(&self, failure: Failure) {
        let mut slot = lock(&self.failure);
        if slot.is_none() {
            *slot = Some(failure);
            drop(slot);
            self.io.post(Command::Failed(self.key));
        }
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        lock(&self.failure).take()
    }

    // --- writing: the caller holds the writer token ---

    /// Writes a message that its pipe let bypass the queue.
    pub(crate) fn write_bypass(&self, body: &mut Body<'_>, patient: bool) {
        let mut write = lock(&self.write);
        if !self.out.confirm() {
            self.put_back(std::iter::once(Entry::message(body)));
            return;
        }
        let progress = write.write_one(&self.stream, body);
        self.counters.immediate();
        self.end_producer_turn(write, progress, patient);
    }

    /// Writes a multipart message that its pipe let bypass the queue.
    pub(crate) fn write_bypass_staged(&self, staging: &mut Staging, patient: bool) {
        let mut write = lock(&self.write);
        if !self.out.confirm() {
            self.put_back(staging.take_entries());
            return;
        }
        let progress = write.write_pieces(&self.stream, staging.take_entries());
        self.counters.immediate();
        self.end_producer_turn(write, progress, patient);
    }

    /// Writes what has gathered in the pipe.
    pub(crate) fn write_gathered(&self, patient: bool) {
        let mut write = lock(&self.write);
        if !self.out.confirm() {
            return;
        }
        self.take_batch(&mut write, Holder::Producer);
        let progress = write.write(&self.stream, &mut TURN_BYTES.clone());
        self.end_producer_turn(write, progress, patient);
    }

    /// Takes what has gathered in the pipe, to be written by a thread of the producer's or the I/O thread.
    fn take_batch(&self, write: &mut WriteHalf, by: Holder) {
        let reached = write.take_from(&self.out);
        // A turn that finds nothing, or only commands, is no batch.
        if write.has_entries() {
            self.counters.batch(by, reached);
        }
    }

    /// Queues a message that was to bypass the queue, but the connection went down before it was written.
    fn put_back(&self, entries: impl Iterator<Item = Entry>) {
        if self.out.push_bypassed(entries) {
            self.io.post(Command::Flush(self.key));
        }
    }

    /// Goes on with what the kernel did not take, for a sender that may wait: a thread of its own would have to be woken
    /// for it, and again each time that the kernel takes a part. `None`: the connection was taken down meanwhile.
    fn persist<'a>(
        &'a self,
        mut write: MutexGuard<'a, WriteHalf>,
        mut progress: Progress,
    ) -> Option<(MutexGuard<'a, WriteHalf>, Progress)> {
        if !matches!(progress, Progress::WouldBlock | Progress::Budget) {
            return Some((write, progress));
        }
        self.counters.pace();
        let deadline = Instant::now() + PATIENCE;
        while matches!(progress, Progress::WouldBlock | Progress::Budget) {
            let left = deadline.saturating_duration_since(Instant::now()).min(PAUSE);
            // Nobody else writes, as the token is this thread's, but its I/O thread may take the connection down.
            drop(write);
            let writable = !left.is_zero() && is_writable_within(self.fd(), left);
            write = lock(&self.write);
            if write.is_dead() {
                return None;
            }
            if !writable {
                break;
            }
            progress = write.write(&self.stream, &mut TURN_BYTES.clone());
        }
        Some((write, progress))
    }

    fn end_producer_turn<'a>(
        &'a self,
        mut write: MutexGuard<'a, WriteHalf>,
        mut progress: Progress,
        patient: bool,
    ) {
        loop {
            if patient {
                match self.persist(write, progress) {
                    Some(persisted) => (write, progress) = persisted,
                    None => return,
                }
            }
            let credit = write.settle_after(progress, &self.counters);
            let unblocked = match progress {
                Progress::Done => {
                    let release = self.out.release(Holder::Producer, credit);
                    if release.more {
                        // Another thread of the socket sent meanwhile.
                        self.take_batch(&mut write, Holder::Producer);
                        progress = write.write(&self.stream, &mut TURN_BYTES.clone());
                        continue;
                    }
                    release.unblocked
                }
                Progress::WouldBlock => {
                    self.counters.would_block();
                    let unblocked = self.out.block(credit);
                    self.watch_for(|interest| interest.writable = true);
                    unblocked
                }
                Progress::Budget => {
                    let unblocked = self.out.pause(credit);
                    self.io.post(Command::Flush(self.key));
                    unblocked
                }
                Progress::Failed => {
                    // The token stays taken: nobody writes until the I/O thread has taken the connection
                    // down.
                    let failure = write.unsealed().map_or(Failure::Lost, Failure::Cipher);
                    drop(write);
                    self.fail(failure);
                    return;
                }
            };
            if unblocked {
                self.inbox.post(News::Writable(self.pipe));
            }
            return;
        }
    }

    /// The I/O thread's turn at writing what has gathered, taking the writer token if it is free.
    /// `writable`: the socket was reported writable.
    pub(super) fn write_turn(&self, writable: bool) -> WriteTurn {
        if writable {
            self.watch_for(|interest| interest.writable = false);
        }
        let taken = if writable { self.out.acquire() } else { self.out.acquire_gathered() };
        if taken { self.write_with_token() } else { WriteTurn::Idle }
    }

    /// As [`write_turn`](Self::write_turn), already holding the token.
    pub(super) fn write_with_token(&self) -> WriteTurn {
        let mut write = lock(&self.write);
        if write.is_dead() {
            return WriteTurn::Idle;
        }
        let mut budget = TURN_BYTES;
        loop {
            self.take_batch(&mut write, Holder::IoThread);
            let progress = write.write(&self.stream, &mut budget);
            let credit = write.settle_after(progress, &self.counters);
            let (unblocked, turn) = match progress {
                Progress::Done => {
                    let release = self.out.release(Holder::IoThread, credit);
                    let hot = release.gathered >= HOT_BYTES;
                    if release.more && self.batches_wait {
                        self.out.leave_gathering();
                        (release.unblocked, WriteTurn::Again)
                    } else if release.streaming && (hot || !release.more) {
                        (self.out.start_watch(0) || release.unblocked, WriteTurn::Watch)
                    } else if release.more {
                        if release.unblocked {
                            self.inbox.post(News::Writable(self.pipe));
                        }
                        continue;
                    } else {
                        (release.unblocked, WriteTurn::Idle)
                    }
                }
                Progress::WouldBlock => {
                    self.counters.would_block();
                    let unblocked = self.out.block(credit);
                    self.watch_for(|interest| interest.writable = true);
                    (unblocked, WriteTurn::Blocked)
                }
                Progress::Budget => (self.out.pause(credit), WriteTurn::Again),
                Progress::Failed => {
                    let failure = write.unsealed().map_or(Failure::Lost, Failure::Cipher);
                    drop(write);
                    self.fail(failure);
                    return WriteTurn::Failed;
                }
            };
            if unblocked {
                self.inbox.post(News::Writable(self.pipe));
            }
            return turn;
        }
    }

    fn send_named(&self, name: &[u8], data: &[u8]) {
        let body = command::body(name, data);
        let mut header = [0; MAX_HEADER_LEN];
        let n = encode_header(false, true, body.len() as u64, &mut header);
        self.send_command(&[&header[..n], &body].concat());
    }

    /// Sends a command frame as soon as the socket takes it.
    pub(super) fn send_command(&self, frame: &[u8]) {
        lock(&self.write).add_control(frame);
        // If somebody else holds the token he finds the frame at the end of his turn; if the socket is
        // blocked, whoever continues does.
        if self.out.acquire_idle() {
            match self.write_with_token() {
                WriteTurn::Again => self.io.post(Command::Flush(self.key)),
                WriteTurn::Watch => self.io.post(Command::Watch(self.key)),
                WriteTurn::Idle | WriteTurn::Blocked | WriteTurn::Failed => {}
            }
        }
    }

    // --- reading ---

    /// Reads while the socket has something, up to a turn's worth.
    fn read_turn(&self, state: &mut ReadState, by: Holder) -> ReadTurn {
        let mut any = false;
        state.half.set_company(self.io.load.load(Ordering::Relaxed));
        let written = self.counters.sent();
        if written != state.written {
            state.written = written;
            state.half.note_sent();
        }
        for _ in 0..READS_PER_TURN {
            if self.inward.room() == 0 {
                state.paused = true;
                match by {
                    Holder::IoThread => self.watch_for(|interest| interest.readable = false),
                    // The holder's set would report the socket without end.
                    Holder::Producer => self.drop_lease(state),
                }
                break;
            }
            if by == Holder::IoThread && self.begin_rest(state) {
                break;
            }
            let read = state.half.read(|spare| self.stream.recv(spare), &mut state.ready, &mut state.notices);
            // Before the socket sees what it brought.
            self.set_low_water(state);
            self.counters.read_by(by, read.as_ref().map_or(0, |outcome| outcome.bytes));
            any |= self.pass_on(state, by);
            let outcome = match read {
                Ok(outcome) => outcome,
                Err(ReadError::Io(Errno::AGAIN | Errno::INTR)) => break,
                Err(ReadError::Io(_)) => return self.end_reading(state, Failure::Lost),
                Err(ReadError::Decode(error)) => return self.end_reading(state, Failure::from(&error)),
            };
            if outcome.bytes == 0 {
                return self.end_reading(state, Failure::Lost);
            }
            self.active.store(true, Ordering::Relaxed);
            // A read that did not fill the buffer emptied the socket, but brought no more than a record of TLS. An
            // application thread returns with what it has.
            if (!outcome.full && self.stream.is_plain()) || (by == Holder::Producer && any) {
                break;
            }
        }
        if any { ReadTurn::Data } else { ReadTurn::Empty }
    }

    /// Where the I/O thread is far ahead of the socket, it reads no more until somebody takes what there is, or comes to
    /// read by himself, or a while has passed. With little between them its memory goes round, and what is taken is still in
    /// a cache; else each message has memory of its own, up to the high-water mark.
    fn begin_rest(&self, state: &mut ReadState) -> bool {
        let Some(times) = state.ahead else { return false };
        let connections = self.io.load.load(Ordering::Relaxed).max(1);
        let share = (READ_AHEAD_TOGETHER / connections).clamp(READ_AHEAD_AT_LEAST, READ_AHEAD);
        let limit = share.saturating_mul(times);
        // Who waits on a descriptor of the socket's, and not in it, does not read.
        if self.inward.untaken() < limit || self.inbox.is_watched() {
            return false;
        }
        // A thread that takes large messages comes to read the next by itself: it is left to that.
        if !self.inward.begin_rest(limit, !state.half.is_in_row()) {
            return false;
        }
        state.paused = true;
        state.rests = Some(Instant::now());
        self.watch_for(|interest| interest.readable = false);
        if !std::mem::replace(&mut state.rest_timed, true) {
            self.io.post(Command::Rest { key: self.key, left: REST });
        }
        true
    }

    /// Looks at a rest after a while. If nobody came, the I/O thread reads on, and twice as far the next time.
    pub(super) fn review_rest(&self) {
        let mut state = lock(&self.read);
        state.rest_timed = false;
        let Some(since) = state.rests else { return };
        let left = REST.saturating_sub(since.elapsed());
        if !left.is_zero() {
            state.rest_timed = true;
            self.io.post(Command::Rest { key: self.key, left });
            return;
        }
        state.rests = None;
        state.ahead = state.ahead.map(|times| times.saturating_mul(2));
        drop(state);
        self.inward.end_rest();
        self.resume();
    }

    /// In a stream of large messages, lets the kernel wake whoever waits for a good part of one rather than for each segment:
    /// a wake-up of a processor that sleeps takes the sender as long as the segment itself.
    fn set_low_water(&self, state: &mut ReadState) {
        let Some(mark) = &mut state.low_water else { return };
        let awaited = state.half.awaited().clamp(1, LOW_WATER) as i32;
        if awaited != std::mem::replace(mark, awaited) && set_receive_low_water(self.fd(), awaited).is_err() {
            state.low_water = None;
        }
    }

    /// Nobody reads messages any more: whatever comes is a sign of life.
    pub(super) fn end_low_water(&self) {
        if lock(&self.read).low_water.take().is_some_and(|mark| mark > 1) {
            // If it fails, the peer is taken to be silent a little sooner.
            let _ = set_receive_low_water(self.fd(), 1);
        }
    }

    /// Makes what was decoded visible to the socket. Returns whether there was any.
    fn pass_on(&self, state: &mut ReadState, by: Holder) -> bool {
        for notice in state.notices.drain(..) {
            match notice {
                Notice::Ping { ttl_deciseconds, context } => {
                    *lock(&self.ping_ttl) = Some(ttl_deciseconds);
                    self.send_named(b"PONG", &context);
                }
                // Answered in kind, as far as the kernel takes it now: the connection is at its end.
                Notice::Close(reason) => self.send_named(CLOSE, &reason),
            }
        }
        if state.ready.is_empty() {
            return false;
        }
        self.counters.messages_came(state.ready.iter().map(Entry::messages).sum());
        if self.inward.push_entries(&mut state.ready) && by == Holder::IoThread {
            self.counters.wakeup();
            self.inbox.post(News::Readable(self.pipe));
        }
        true
    }

    fn end_reading(&self, state: &mut ReadState, failure: Failure) -> ReadTurn {
        state.dead = true;
        self.drop_lease(state);
        self.fail(failure);
        ReadTurn::Down
    }

    fn drop_lease(&self, state: &mut ReadState) {
        if let Some(holder) = state.lease.take() {
            // Fails only if the descriptor is not in the set, which is what is wanted.
            let _ = holder.epoll.delete(self.fd());
        }
    }

    /// Decodes bytes that arrived behind the handshake, before anybody else reads.
    pub(super) fn feed(&self, bytes: &[u8]) {
        let mut guard = lock(&self.read);
        let state = &mut *guard;
        self.counters.bytes_came(bytes.len());
        let fed = state.half.feed(bytes, &mut state.ready, &mut state.notices);
        self.pass_on(state, Holder::IoThread);
        if let Err(error) = fed {
            self.end_reading(state, Failure::from(&error));
        }
    }

    /// The I/O thread's turn at reading. Does nothing while an application thread holds the lease, unless
    /// the socket hung up.
    pub(super) fn read_by_io_thread(&self, hangup: bool) {
        let mut state = lock(&self.read);
        if state.dead || (state.lease.is_some() && !hangup) {
            return;
        }
        if state.lease.is_some() {
            self.drop_lease(&mut state);
        }
        self.read_turn(&mut state, Holder::IoThread);
        self.come_back_for_input(&state);
        if hangup && state.paused && !state.dead {
            // Nobody watches for input, and the kernel would report the hang-up without end: stop listening
            // to it until there is room.
            if let Some(interest) = lock(&self.interest).as_mut() {
                *interest = Interest::NONE;
                let _ = self.io.epoll.delete(self.fd());
            }
        }
    }

    /// Reads what lies in the kernel, lease or no lease, so that a heartbeat does not take a late reader for a
    /// silent peer. While the socket's queue is full it is we who do not listen: that counts as a sign of life.
    pub(super) fn read_for_heartbeat(&self) {
        let mut state = lock(&self.read);
        if state.dead {
            return;
        }
        if !state.paused {
            self.read_turn(&mut state, Holder::IoThread);
            self.come_back_for_input(&state);
        }
        if state.paused {
            self.active.store(true, Ordering::Relaxed);
        }
    }

    /// Watches for input again after the socket's queue had no room.
    pub(super) fn resume(&self) {
        let mut state = lock(&self.read);
        if state.rests.take().is_some() {
            // Somebody has taken what there was.
            state.ahead = state.ahead.and(Some(1));
        }
        if std::mem::take(&mut state.paused) && state.lease.is_none() && !state.dead {
            self.watch_for(|interest| interest.readable = true);
        }
        if !state.dead && self.stream.holds_input() {
            self.read_turn(&mut state, Holder::IoThread);
            self.come_back_for_input(&state);
        }
    }

    /// Sees to it that the I/O thread reads on where the kernel has nothing to tell it of.
    fn come_back_for_input(&self, state: &ReadState) {
        if !state.dead && !state.paused && self.stream.holds_input() {
            self.io.post(Command::Resume(self.key));
        }
    }

    /// Whether the kernel can be asked to wake an application thread for what is to be read.
    pub(crate) fn can_be_leased(&self) -> bool {
        self.stream.is_plain()
    }

    /// Whether something that counts as written is still on its way to the kernel.
    pub(super) fn has_unsent(&self) -> bool {
        self.stream.flush() == Ok(false)
    }

    /// Gives the right to read to an application thread that is about to wait on `holder`'s set, where the
    /// socket will be reported under `token`. Returns false if the connection is down, or its queue full: the
    /// I/O thread goes on with it once there is room.
    pub(crate) fn lease(&self, holder: &Arc<LeaseHolder>, token: u64) -> bool {
        let mut state = lock(&self.read);
        if state.dead || (state.paused && self.inward.room() == 0) {
            return false;
        }
        if let Some(current) = &state.lease {
            return Arc::ptr_eq(current, holder);
        }
        if holder.epoll.add(self.fd(), token, Interest::READ).is_err() {
            return false;
        }
        state.paused = false;
        if state.rests.take().is_some() {
            self.inward.end_rest();
        }
        state.ahead = state.ahead.and(Some(1));
        state.lease = Some(Arc::clone(holder));
        self.watch_for(|interest| interest.readable = false);
        drop(state);
        self.io.post(Command::Leased(self.key));
        true
    }

    /// Reads on the application thread that holds the lease.
    pub(crate) fn read_by_holder(&self, holder: &Arc<LeaseHolder>) -> ReadTurn {
        let mut state = lock(&self.read);
        if state.dead || !state.lease.as_ref().is_some_and(|current| Arc::ptr_eq(current, holder)) {
            return ReadTurn::Down;
        }
        self.read_turn(&mut state, Holder::Producer)
    }

    /// Reads on an application thread that has found the socket readable, lease or no lease.
    pub(crate) fn read_in_passing(&self) -> ReadTurn {
        let mut state = lock(&self.read);
        if state.dead || state.paused {
            return ReadTurn::Down;
        }
        self.read_turn(&mut state, Holder::Producer)
    }

    /// Takes the lease back if its holder has not come by since the last look. Returns whether it is still
    /// out.
    pub(super) fn review_lease(&self, last_visit: &mut u64) -> bool {
        let Ok(mut state) = self.read.try_lock() else { return true };
        let Some(holder) = &state.lease else { return false };
        if !holder.may_revoke(last_visit) {
            return true;
        }
        self.drop_lease(&mut state);
        self.watch_for(|interest| interest.readable = true);
        false
    }

    /// The holder of the lease, if it is out.
    pub(super) fn lease_holder(&self) -> Option<Arc<LeaseHolder>> {
        lock(&self.read).lease.clone()
    }

    /// Asks the I/O thread to look after the lease again.
    pub(crate) fn ask_for_review(&self) {
        self.io.post(Command::Review(self.key));
    }

    /// Gives the lease back at once: nobody will wait on this holder's set any more.
    pub(crate) fn return_lease(&self, holder: &Arc<LeaseHolder>) {
        let mut state = lock(&self.read);
        if state.lease.as_ref().is_some_and(|current| Arc::ptr_eq(current, holder)) {
            self.drop_lease(&mut state);
            self.watch_for(|interest| interest.readable = true);
        }
    }

    /// Reads nothing more, whatever comes: the endpoint was unbound.
    pub(crate) fn stop_reading(&self) {
        let mut state = lock(&self.read);
        state.dead = true;
        self.drop_lease(&mut state);
        self.watch_for(|interest| interest.readable = false);
    }

    // --- the end ---

    /// Whether something has arrived that nobody has read.
    pub(super) fn has_unread(&self) -> bool {
        self.stream.has_unread()
    }

    /// Ends our direction: the peer reads what was written, then the end. What it still sends is not read any more, but
    /// [thrown away](Self::discard_input) by the I/O thread.
    pub(super) fn end_writing(&self) {
        self.stream.say_goodbye();
        // Fails only if the peer has closed.
        let _ = shutdown(&self.stream, Shutdown::Write);
        self.stop_reading();
        self.watch_for(|interest| interest.readable = true);
    }

    /// Throws away what has arrived, up to a turn's worth. Returns how many bytes that was; `None` at the end of the
    /// connection.
    pub(super) fn discard_input(&self) -> Option<usize> {
        let mut discarded = 0;
        for _ in 0..READS_PER_TURN {
            match self.stream.discard() {
                Ok(0) => return None,
                Ok(bytes) => discarded += bytes,
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) => return None,
            }
        }
        Some(discarded)
    }

    /// Ends the connection for good, on the I/O thread: nobody writes or reads it afterwards. What the peer
    /// did not get in full is back in the pipe.
    pub(super) fn take_down(&self) {
        let mut write = lock(&self.write);
        let mut rest = write.take_down();
        let credit = write.settle(&self.counters);
        // Whoever holds the token has not begun, or is stuck in `fail`: he finds the half dead.
        let unblocked = self.out.detach(credit, &mut rest);
        drop(write);
        let mut state = lock(&self.read);
        state.dead = true;
        self.drop_lease(&mut state);
        drop(state);
        *lock(&self.interest) = None;
        let _ = self.io.epoll.delete(self.fd());
        self.stream.say_goodbye();
        // The peer is to know now: a thread that leased the connection may keep the descriptor open until it
        // looks at its socket again.
        let _ = shutdown(&self.stream, Shutdown::Both);
        if unblocked {
            self.inbox.post(News::Writable(self.pipe));
        }
    }

    /// Whether something has arrived since the last call.
    pub(super) fn take_activity(&self) -> bool {
        self.active.swap(false, Ordering::Relaxed)
    }

    pub(super) fn take_ping_ttl(&self) -> Option<u16> {
        lock(&self.ping_ttl).take()
    }
}
