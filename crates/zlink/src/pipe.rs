//! A socket's end of its pipes.

mod pipes;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zlink_pipe::{Body, Cursor, Entry, Message, Pushed, Queue, Staging};

pub(crate) use self::pipes::Pipes;
use crate::attach::{Attachment, Link, Marks, PeerInfo};
use crate::engine::stats::SocketStats;
use crate::engine::{Command, Connection, EndpointId};
use crate::inbox::{News, PipeId};
use crate::rhythm::{Step, WakeRhythm, Watched, WriteRhythm};

/// A sender that does not wait learns of the room that its messages have left no sooner than this after the first of
/// them, unless it polls or receives: `ZMQ_SNDHWM` is then the most it sends in one go, as with libzmq, whose senders
/// look for news as often.
const CREDIT_DELAY: Duration = Duration::from_millis(1);

/// Most messages read before credit is returned: a sender must not wait for what was read long ago.
const MAX_CREDIT_BATCH: usize = 4096;

/// How often credit is returned, in messages, if the producer learns of the room of `batch` messages together.
fn credit_batch(batch: usize) -> usize {
    // Without a mark nobody waits for credit.
    if batch == 0 { MAX_CREDIT_BATCH } else { batch.min(MAX_CREDIT_BATCH) }
}

/// Adds a message whatever the high-water mark: one that the library itself has to say. Returns whether the consumer
/// must be woken.
pub(crate) fn push_message(queue: &Queue, body: &[u8]) -> bool {
    queue.push_entries(&mut VecDeque::from([Entry::message(&mut Body::Slice(body))]))
}

/// The mark of an in-process pipe: what both sides may hold, without limit if either has none.
pub(crate) fn joint_hwm(send: usize, receive: usize) -> usize {
    if send == 0 || receive == 0 { 0 } else { send + receive }
}

/// The pipe takes no message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Where a received part goes.
pub(crate) enum Sink<'a> {
    Message(&'a mut Message),
    /// The caller's buffer; a part that is longer is cut. `len` tells the part's full length.
    Slice {
        buffer: &'a mut [u8],
        len: usize,
    },
}

impl Sink<'_> {
    /// Takes a part that is not in a pipe.
    pub(crate) fn put(&mut self, message: Message) {
        match self {
            Sink::Message(slot) => **slot = message,
            Sink::Slice { .. } => self.copy(&message),
        }
    }

    /// Takes a copy of `bytes`.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        match self {
            Sink::Message(slot) => {
                slot.assign_copy(bytes);
                slot.set_properties(None);
            }
            Sink::Slice { buffer, len } => {
                let n = bytes.len().min(buffer.len());
                buffer[..n].copy_from_slice(&bytes[..n]);
                *len = bytes.len();
            }
        }
    }
}

/// What was received: whether another part follows, and whether the pipe's peer is gone.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) more: bool,
    pub(crate) gone: bool,
}

/// When the first message was sent whose room the sender has not asked for, as far as is known, and how many receives
/// there had been.
struct Burst {
    start: Instant,
    receives: u64,
}

/// When the consumer is woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wake {
    Now,
    /// After a moment in which the producer is likely to have drained the queue.
    Soon,
}

/// What became of room that was withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collected {
    /// It counts now.
    Room,
    /// It is not time yet.
    Early,
    /// There is none: news will come when there is.
    Nothing,
}

/// One pipe.
pub(crate) struct PipeEnd {
    pub(crate) id: PipeId,
    out: Arc<Queue>,
    inward: Arc<Queue>,
    link: Link,
    cursor: Cursor,
    staging: Staging,
    pub(crate) peer: PeerInfo,
    pub(crate) endpoint: Option<EndpointId>,
    /// Credit is returned at least this often, in messages, and so many have been credited of the present batch.
    credit_batch: usize,
    credited: usize,
    writes: WriteRhythm,
    wakes: WakeRhythm,
    burst: Option<Burst>,
    /// Messages that will be taken at least, as seen when it was last looked for.
    room: usize,
    /// The message under way is large, and its sender may wait a moment for the connection.
    patient: bool,
    /// The peer is gone: what it sent can be read, nothing can be sent.
    gone: bool,
    /// The pipe has had a connection.
    pub(crate) was_connected: bool,
    /// Messages to the peer, or from it, that the pattern has dropped.
    dropped: u64,
}

impl PipeEnd {
    pub(crate) fn new(attachment: Attachment, receive_hwm: usize, zero_copy: bool) -> Self {
        let Attachment { id, out, inward, link, peer, endpoint } = attachment;
        let was_connected = peer.is_some();
        let mut cursor = Cursor::new();
        cursor.set_copies(!zero_copy);
        let mut pipe = PipeEnd {
            id,
            out,
            inward,
            link,
            cursor,
            staging: Staging::new(),
            peer: peer.unwrap_or_default(),
            endpoint,
            credit_batch: 1,
            credited: 0,
            writes: WriteRhythm::default(),
            wakes: WakeRhythm::default(),
            burst: None,
            room: 0,
            patient: false,
            gone: false,
            was_connected,
            dropped: 0,
        };
        pipe.set_credit_batch(receive_hwm);
        pipe
    }

    /// Chooses how often credit is returned, from the socket's own mark.
    fn set_credit_batch(&mut self, receive: usize) {
        let mark = match self.inproc_marks() {
            Some(peer) => joint_hwm(peer.send, receive),
            None => receive,
        };
        self.credit_batch = credit_batch(mark.div_ceil(2));
    }

    /// The marks of the peer when the pipe was made, if it is a socket of this context.
    fn inproc_marks(&self) -> Option<Marks> {
        match &self.link {
            Link::Inproc(peer) => peer.marks(),
            Link::Session(_) => None,
        }
    }

    /// The peer is there, for the first time or again.
    pub(crate) fn set_peer(&mut self, peer: PeerInfo, receive_hwm: usize) {
        self.peer = peer;
        self.set_credit_batch(receive_hwm);
    }

    /// The connection at this moment, if the peer is remote and connected.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        match &self.link {
            Link::Session(session) => session.connection(),
            Link::Inproc(_) => None,
        }
    }

    /// Whether the peer cannot say what it wants and gets everything.
    pub(crate) fn takes_all(&self) -> bool {
        matches!(&self.link, Link::Session(session) if session.takes_all)
    }

    /// Messages in the queue to the peer, and in the queue from the peer, as far as the one who fills it knows.
    pub(crate) fn unacknowledged(&self) -> [u64; 2] {
        [self.out.unacknowledged() as u64, self.inward.unacknowledged() as u64]
    }

    /// Messages that wait to be written to the peer, and those from it that wait to be received.
    pub(crate) fn queued(&self) -> [u64; 2] {
        let unread = self.inward.in_flight().saturating_sub(self.cursor.uncredited());
        [self.out.in_flight() as u64, unread as u64]
    }

    /// What was counted of the peer.
    pub(crate) fn stats(&self) -> SocketStats {
        let mut stats = match &self.link {
            Link::Session(session) => session.counters.read(),
            Link::Inproc(_) => SocketStats::default(),
        };
        stats.dropped += self.dropped;
        stats
    }

    // --- sending ---

    /// Sends a message of one part. On `Full` the body is untouched.
    #[inline(always)]
    pub(crate) fn send(&mut self, body: &mut Body<'_>, receives: u64) -> Result<(), Full> {
        if self.gone {
            return Err(Full);
        }
        self.wakes.note_send();
        self.room = self.room.saturating_sub(1);
        match self.out.push_one(body) {
            Pushed::Queued => Ok(()),
            pushed => self.follow_up(pushed, body, receives),
        }
    }

    /// Does what a push asks for, until the message is sent or refused.
    #[inline(never)]
    fn follow_up(&mut self, mut pushed: Pushed, body: &mut Body<'_>, receives: u64) -> Result<(), Full> {
        let mut wake = Wake::Now;
        loop {
            match pushed {
                Pushed::Queued => return Ok(()),
                Pushed::Bypass => {
                    let start = Instant::now();
                    if let Some(when) = self.gathers_bypass(start, receives, !body.goes_by_reference()) {
                        wake = when;
                    } else {
                        match self.connection() {
                            Some(connection) => connection.write_bypass(body, self.patient),
                            None => self.queue_bypassed(std::iter::once(Entry::message(body))),
                        }
                        self.writes.note_write(start);
                        return Ok(());
                    }
                }
                Pushed::Write => {
                    self.write_batch(receives);
                    return Ok(());
                }
                Pushed::Watched => {
                    self.wake_watcher(wake);
                    return Ok(());
                }
                Pushed::Wake => {
                    self.wake_consumer_of_messages(wake, receives);
                    return Ok(());
                }
                Pushed::FlushFirst => self.write_batch(receives),
                Pushed::Full => return Err(Full),
            }
            pushed = self.out.push_one(body);
        }
    }

    /// Whether the first part of a message would be taken.
    #[inline]
    pub(crate) fn check_room(&mut self) -> Result<(), Full> {
        if self.gone {
            return Err(Full);
        }
        if self.room > 0 { Ok(()) } else { self.look_for_room() }
    }

    fn look_for_room(&mut self) -> Result<(), Full> {
        loop {
            match self.out.check_room() {
                Ok(room) => {
                    // Within the process the peer may lower the mark at any time.
                    let holds = matches!(self.link, Link::Session(_));
                    self.room = if holds { room } else { 0 };
                    return Ok(());
                }
                Err(Pushed::FlushFirst) => self.write_gathered(false),
                Err(_) => return Err(Full),
            }
        }
    }

    /// Adds a part to the message under way; the caller checks for room before the first. The last part, the
    /// one without `more`, sends it.
    pub(crate) fn send_part(&mut self, body: &mut Body<'_>, more: bool, receives: u64) {
        // A message of one part needs no gathering.
        if !more && self.staging.parts() == 0 && self.send(body, receives).is_ok() {
            return;
        }
        self.staging.add(body, more);
        if more {
            return;
        }
        if self.gone {
            self.staging.clear();
            return;
        }
        self.wakes.note_send();
        self.room = self.room.saturating_sub(1);
        let mut wake = Wake::Now;
        let mut pushed = self.out.push_staged(&mut self.staging);
        let start = (pushed == Pushed::Bypass).then(Instant::now);
        let small = self.staging.is_small();
        if let Some(when) = start.and_then(|start| self.gathers_bypass(start, receives, small)) {
            wake = when;
            pushed = self.out.push_staged(&mut self.staging);
        }
        match pushed {
            Pushed::Queued | Pushed::Full | Pushed::FlushFirst => {}
            Pushed::Bypass => {
                let start = start.unwrap_or_else(Instant::now);
                let mut staging = std::mem::take(&mut self.staging);
                match self.connection() {
                    Some(connection) => connection.write_bypass_staged(&mut staging, self.patient),
                    None => self.queue_bypassed(staging.take_entries()),
                }
                staging.clear();
                self.staging = staging;
                self.writes.note_write(start);
            }
            Pushed::Write => self.write_batch(receives),
            Pushed::Watched => self.wake_watcher(wake),
            Pushed::Wake => self.wake_consumer_of_messages(wake, receives),
        }
    }

    /// Forgets the parts of a message that was not completed.
    pub(crate) fn rollback(&mut self) {
        self.staging.clear();
    }

    /// Watches the rhythm of sends for a message that may bypass the queue: several in a row, with nothing between them,
    /// are a stream, which is gathered from then on. If this message gathers too, for which it must be `small`, and is to be
    /// pushed again, returns when the consumer is to be woken for it.
    fn gathers_bypass(&mut self, start: Instant, receives: u64, small: bool) -> Option<Wake> {
        self.burst.get_or_insert(Burst { start, receives });
        match self.writes.note_message(start, self.wakes.sent(), receives) {
            Step::Gather { last } if small => {
                // The sender itself is to write the last one.
                let wake = if last > 0 { Wake::Soon } else { Wake::Now };
                self.out.decline_bypass(last).then_some(wake)
            }
            Step::Stream => {
                self.out.set_streaming(true);
                None
            }
            Step::Write | Step::Gather { .. } => None,
        }
    }

    /// Notes a send of which the queue's consumer is told, or that the sender writes: in between there is none that
    /// would be worth a look at the clock.
    fn note_burst(&mut self, receives: u64) {
        self.burst.get_or_insert_with(|| Burst { start: Instant::now(), receives });
    }

    /// Lets room count that was withheld, if the sender `waits`, has received since, or has taken its time.
    fn collect_credit(&mut self, waits: bool, receives: u64) -> Collected {
        if !self.out.withholds_credit() {
            return Collected::Nothing;
        }
        let early = |burst: &Burst| burst.receives == receives && burst.start.elapsed() < CREDIT_DELAY;
        if !waits && self.burst.as_ref().is_some_and(early) {
            return Collected::Early;
        }
        self.burst = None;
        if self.out.collect_credit() { Collected::Room } else { Collected::Nothing }
    }

    /// Queues a message that was to bypass the queue, but the connection went down.
    #[cold]
    fn queue_bypassed(&self, entries: impl Iterator<Item = Entry>) {
        if self.out.push_bypassed(entries) {
            self.wake_consumer();
        }
    }

    /// Writes what has gathered of a stream, as its sender.
    fn write_batch(&mut self, receives: u64) {
        self.note_burst(receives);
        self.write_gathered(self.patient);
        self.writes.note_flush();
    }

    fn write_gathered(&self, patient: bool) {
        if let Some(connection) = self.connection() {
            connection.write_gathered(patient);
        }
    }

    /// Wakes the consumer for what was sent.
    #[cold]
    fn wake_consumer_of_messages(&mut self, wake: Wake, receives: u64) {
        self.note_burst(receives);
        if let Link::Session(session) = &self.link {
            let flush = Command::Flush(session.key);
            return match wake {
                Wake::Now => session.io.post(flush),
                Wake::Soon => session.io.post_soon(flush),
            };
        }
        if self.wakes.is_stream(receives) {
            self.out.set_streaming(true);
        }
        self.wake_consumer();
        self.wakes.note_wake();
    }

    /// Wakes the I/O thread for the first message after a pause of the stream that it watches, unless the sender is likely
    /// to write it soon: it looks by itself in a moment.
    #[cold]
    fn wake_watcher(&mut self, wake: Wake) {
        if wake == Wake::Soon {
            return;
        }
        match self.writes.note_watched(self.wakes.sent()) {
            Watched::Nothing => {}
            Watched::Wake => self.wake_consumer(),
            Watched::Ends { last } => self.out.set_last(last),
        }
    }

    #[cold]
    fn wake_consumer(&self) {
        match &self.link {
            Link::Inproc(peer) => peer.post(News::Readable),
            Link::Session(session) => session.io.post(Command::Flush(session.key)),
        }
    }

    /// Writes what has gathered as a sender who would otherwise wait until somebody has. Returns whether nothing is left of
    /// it.
    fn take_over(&mut self) -> bool {
        let taken = matches!(self.link, Link::Session(_)) && self.out.acquire_to_take_over();
        if taken {
            self.write_gathered(true);
            self.writes.note_flush();
        }
        taken && self.out.is_empty()
    }

    /// Writes what has gathered, before the thread waits for an answer to it.
    fn flush(&self) {
        if matches!(self.link, Link::Session(_)) && self.out.acquire_to_flush() {
            self.write_gathered(false);
        }
    }

    /// Whether a message would be taken; if not, news will come when it would.
    pub(crate) fn has_room(&self) -> bool {
        !self.gone && self.out.has_room()
    }

    // --- receiving ---

    /// Whether a part can be read. If not, news will come when one can.
    #[inline]
    pub(crate) fn has_input(&mut self) -> bool {
        self.cursor.has_frame() || self.take_input()
    }

    /// Takes what has gathered, when nothing is at hand.
    fn take_input(&mut self) -> bool {
        let credit = self.cursor.uncredited();
        let taken = self.cursor.refill(&self.inward);
        if taken.unblocked {
            self.tell_producer();
        }
        if self.credits_in_batches() {
            // The mark may have changed on the other side.
            self.credit_batch = credit_batch(taken.batch);
        }
        self.note_credit(credit);
        self.cursor.has_frame()
    }

    /// Reads a part; the caller has seen that there is one. Returns whether another follows.
    #[inline(always)]
    pub(crate) fn read(&mut self, sink: &mut Sink<'_>) -> bool {
        let more = match sink {
            Sink::Message(slot) => {
                if !self.cursor.next_into(slot) {
                    return false;
                }
                slot.set_properties(self.peer.properties.as_ref());
                // Neither the sender's, of a message that was not copied, nor that of what was received before.
                slot.set_routing_id(0);
                slot.more()
            }
            Sink::Slice { .. } => {
                let Some((bytes, more)) = self.cursor.peek() else { return false };
                sink.copy(bytes);
                self.cursor.skip();
                more
            }
        };
        self.after_read();
        more
    }

    /// Reads a part as a message; the caller has seen that there is one.
    pub(crate) fn read_message(&mut self) -> Message {
        let mut message = Message::new();
        self.read(&mut Sink::Message(&mut message));
        message
    }

    /// The next part and whether another follows, without taking it.
    pub(crate) fn peek(&mut self) -> Option<(&[u8], bool)> {
        if !self.has_input() {
            return None;
        }
        self.cursor.peek()
    }

    /// Drops the next part.
    pub(crate) fn skip(&mut self) {
        self.cursor.skip();
        self.after_read();
    }

    #[inline]
    fn after_read(&mut self) {
        // Credit goes back when a batch is through and, unless room counts in batches alone, when nothing is left at
        // hand: a producer that was told to wait must not wait for messages that have been read.
        let due = self.cursor.uncredited();
        let through = self.credited + due >= self.credit_batch;
        if through || (due > 0 && !self.cursor.has_frame() && !self.credits_in_batches()) {
            self.return_credit();
        }
    }

    /// See [`Credit::InBatches`](zlink_pipe::Credit::InBatches).
    fn credits_in_batches(&self) -> bool {
        matches!(self.link, Link::Inproc(_))
    }

    fn return_credit(&mut self) {
        let credit = self.cursor.take_credit();
        if self.inward.credit(credit) {
            self.tell_producer();
        }
        self.note_credit(credit);
    }

    /// Counts what was credited of the batch.
    fn note_credit(&mut self, credit: usize) {
        self.credited += credit;
        if self.credited >= self.credit_batch {
            self.credited %= self.credit_batch;
        }
    }

    /// See [`Queue::begin_nap`]: for pipes within the process.
    pub(crate) fn begin_nap(&self) -> bool {
        matches!(self.link, Link::Inproc(_)) && self.inward.begin_nap()
    }

    /// See [`Queue::end_nap`].
    pub(crate) fn end_nap(&self) -> bool {
        self.inward.end_nap()
    }

    #[cold]
    fn tell_producer(&self) {
        match &self.link {
            Link::Inproc(peer) => peer.post(News::Writable),
            Link::Session(session) => session.io.post(Command::Resume(session.key)),
        }
    }

    /// Drops everything that can be read: for a socket that never reads.
    pub(crate) fn discard_input(&mut self) {
        while self.has_input() {
            self.skip();
        }
    }

    /// Whether the peer is gone and everything it sent has been read. Notes that it is gone.
    pub(crate) fn is_over(&mut self) -> bool {
        self.gone = self.gone || self.inward.is_ended();
        self.gone && !self.has_input()
    }

    /// Sends and reads nothing more: the endpoint was unbound. What was read stays.
    pub(crate) fn unbind(&mut self) {
        self.gone = true;
        if let Some(connection) = self.connection() {
            connection.stop_reading();
        }
    }

    /// Whether the peer is known to be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Applies changed high-water marks. Returns whether there is room now where there was none.
    pub(crate) fn set_marks(&mut self, mut send: usize, mut receive: usize) -> bool {
        self.set_credit_batch(receive);
        if let Some(marks) = self.inproc_marks() {
            // As in libzmq, the peer's share is what it was when the pipe was made.
            (send, receive) = (joint_hwm(send, marks.receive), joint_hwm(marks.send, receive));
        }
        if self.inward.set_hwm(receive) {
            self.tell_producer();
        }
        self.room = 0;
        self.out.set_hwm(send)
    }

    /// Closes this end. A remote peer gets what is queued within the linger time, a local one at any time.
    pub(crate) fn close(&mut self, linger: Option<Duration>) {
        self.staging.clear();
        match &self.link {
            Link::Inproc(peer) => {
                if !self.gone && !peer.farewell().is_empty() {
                    push_message(&self.out, peer.farewell());
                }
                self.out.end();
                self.inward.clear();
                peer.post(News::Readable);
            }
            // Its session is gone, or has another pipe by now.
            Link::Session(_) if self.gone => {}
            Link::Session(session) => session.io.post(Command::ClosePipe { key: session.key, linger }),
        }
    }
}
