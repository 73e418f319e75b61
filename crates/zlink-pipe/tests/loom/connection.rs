//! A connection as the consumer: the writer token between a producer and an I/O thread, as the engine's
//! `PipeEnd` and `Connection` pass it.

use super::*;

/// What wakes the I/O thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    Flush,
    /// The stream is to be watched from now on.
    Watch,
    /// The kernel takes bytes again.
    Writable,
    Failed,
    /// The producer has nothing more to send.
    Sent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    WouldBlock,
    Budget,
    Failed,
}

struct Half {
    batch: VecDeque<Entry>,
    offset: usize,
    credit: usize,
    dead: bool,
    control: bool,
    /// Bytes that the kernel takes before it blocks, and what it took.
    room: usize,
    wire: Vec<u8>,
    /// The kernel fails instead of blocking.
    broken: bool,
    /// Bytes per turn.
    budget: usize,
    /// Bytes that gather during a write from which on a stream is left to its producer.
    hot: usize,
}

struct Connection {
    half: Mutex<Half>,
    queue: Arc<Queue>,
    io: Arc<Mailbox<Command>>,
    producer: Arc<Mailbox<()>>,
}

/// A body that marks a command frame.
const CONTROL: u8 = 0xC0;

impl Half {
    fn write(&mut self) -> Progress {
        let mut budget = self.budget;
        loop {
            if self.control && self.offset == 0 {
                self.control = false;
                self.wire.extend([4, 1, CONTROL]);
            }
            let Some(front) = self.batch.front() else { return Progress::Done };
            if budget == 0 {
                return Progress::Budget;
            }
            if self.room == 0 {
                return if self.broken { Progress::Failed } else { Progress::WouldBlock };
            }
            let bytes = front.slices_from(self.offset)[0];
            let n = bytes.len().min(self.room);
            self.wire.extend_from_slice(&bytes[..n]);
            self.room -= n;
            budget = budget.saturating_sub(n);
            self.offset += n;
            if self.offset == front.len() {
                self.offset = 0;
                self.credit += front.messages();
                self.batch.pop_front();
            }
        }
    }
}

impl Connection {
    fn new(ends: &Ends, room: usize, broken: bool, budget: usize) -> Arc<Self> {
        let half = Half {
            batch: VecDeque::new(),
            offset: 0,
            credit: 0,
            dead: false,
            control: false,
            room,
            wire: Vec::new(),
            broken,
            budget,
            hot: FRAME * 2,
        };
        Arc::new(Connection {
            half: Mutex::new(half),
            queue: Arc::clone(&ends.queue),
            io: Arc::clone(&ends.io),
            producer: Arc::clone(&ends.producer),
        })
    }

    fn write_bypass(&self, body: u8) {
        let mut half = self.half.lock().unwrap();
        if !self.queue.confirm() {
            if self.queue.push_bypassed(std::iter::once(Entry::message(&mut Body::Slice(&[body])))) {
                self.io.post(Command::Flush);
            }
            return;
        }
        assert!(!half.dead, "a connection that is down has no token to confirm");
        half.batch.push_back(Entry::message(&mut Body::Slice(&[body])));
        let progress = half.write();
        self.end_turn(&mut half, progress, Holder::Producer);
    }

    fn write_gathered(&self) {
        let mut half = self.half.lock().unwrap();
        if !self.queue.confirm() {
            return;
        }
        assert!(!half.dead, "a connection that is down has no token to confirm");
        self.queue.take_for_write(&mut half.batch, &mut Vec::new());
        let progress = half.write();
        self.end_turn(&mut half, progress, Holder::Producer);
    }

    /// The I/O thread's turn. Returns whether the stream is to be watched.
    fn write_with_token(&self) -> bool {
        let mut half = self.half.lock().unwrap();
        if half.dead {
            return false;
        }
        self.queue.take_for_write(&mut half.batch, &mut Vec::new());
        let progress = half.write();
        self.end_turn(&mut half, progress, Holder::IoThread)
    }

    fn end_turn(&self, half: &mut Half, mut progress: Progress, by: Holder) -> bool {
        loop {
            let credit = std::mem::take(&mut half.credit);
            let mut watch = false;
            let unblocked = match progress {
                Progress::Done => {
                    let release = self.queue.release(by, credit);
                    let hot = release.gathered >= half.hot;
                    watch = by == Holder::IoThread && release.streaming && (hot || !release.more);
                    if release.more && !watch {
                        if release.unblocked {
                            self.producer.post(());
                        }
                        self.queue.take_for_write(&mut half.batch, &mut Vec::new());
                        progress = half.write();
                        continue;
                    }
                    release.unblocked | (watch && self.queue.start_watch(0))
                }
                Progress::WouldBlock => {
                    let unblocked = self.queue.block(credit);
                    self.io.post(Command::Writable);
                    unblocked
                }
                Progress::Budget => {
                    let unblocked = self.queue.pause(credit);
                    self.io.post(Command::Flush);
                    unblocked
                }
                Progress::Failed => {
                    half.credit = credit;
                    self.io.post(Command::Failed);
                    false
                }
            };
            if unblocked {
                self.producer.post(());
            }
            return watch;
        }
    }

    fn send_command(&self) {
        self.half.lock().unwrap().control = true;
        if self.queue.acquire_idle() && self.write_with_token() {
            self.io.post(Command::Watch);
        }
    }

    fn take_down(&self) {
        let mut half = self.half.lock().unwrap();
        half.dead = true;
        let mut rest = std::mem::take(&mut half.batch);
        if let Some(front) = rest.front_mut() {
            half.credit += front.rewind(half.offset);
            if front.is_empty() {
                rest.pop_front();
            }
        }
        let credit = std::mem::take(&mut half.credit);
        if self.queue.detach(credit, &mut rest) {
            self.producer.post(());
        }
    }

    fn is_out(&self, messages: usize) -> bool {
        self.half.lock().unwrap().wire.len() == messages * FRAME
    }

    /// The bodies of the messages and commands that went out whole.
    fn wire(&self) -> Vec<u8> {
        self.half.lock().unwrap().wire.chunks_exact(FRAME).map(|frame| frame[FRAME - 1]).collect()
    }
}

/// What both threads know.
#[derive(Clone)]
struct Ends {
    queue: Arc<Queue>,
    io: Arc<Mailbox<Command>>,
    producer: Arc<Mailbox<()>>,
    /// The connection at this moment, as a session tells it to its socket.
    slot: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl Ends {
    fn new(config: QueueConfig) -> Self {
        Ends {
            queue: Arc::new(Queue::new(config)),
            io: Mailbox::new(),
            producer: Mailbox::new(),
            slot: Arc::new(Mutex::new(None)),
        }
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.slot.lock().unwrap().clone()
    }

    /// Makes `connection` the present one. Returns whether its stream is to be watched.
    fn establish(&self, connection: &Arc<Connection>) -> bool {
        self.queue.attach();
        *self.slot.lock().unwrap() = Some(Arc::clone(connection));
        connection.write_with_token()
    }

    fn send(&self, body: u8) {
        loop {
            match self.queue.push_one(&mut Body::Slice(&[body])) {
                Pushed::Queued | Pushed::Watched => return,
                Pushed::Wake => return self.io.post(Command::Flush),
                Pushed::Write => return self.write_gathered(),
                Pushed::FlushFirst => self.write_gathered(),
                Pushed::Full => self.producer.wait(),
                Pushed::Bypass => {
                    return match self.connection() {
                        Some(connection) => connection.write_bypass(body),
                        None => {
                            let entry = Entry::message(&mut Body::Slice(&[body]));
                            if self.queue.push_bypassed(std::iter::once(entry)) {
                                self.io.post(Command::Flush);
                            }
                        }
                    };
                }
            }
        }
    }

    fn write_gathered(&self) {
        if let Some(connection) = self.connection() {
            connection.write_gathered();
        }
    }

    fn flush(&self) {
        if self.queue.acquire_to_flush() {
            self.write_gathered();
        }
    }

    fn take_over(&self) {
        if self.queue.acquire_to_take_over() {
            self.write_gathered();
        }
    }

    /// A thread that sends the numbers below `count`, treating the queue as `before_each` says.
    fn producer(
        &self,
        count: u8,
        before_each: impl Fn(&Ends, u8) + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let ends = self.clone();
        thread::spawn(move || {
            for body in 0..count {
                before_each(&ends, body);
                ends.send(body);
            }
            ends.io.post(Command::Sent);
        })
    }

    /// The I/O thread's life with one connection until `done`.
    fn serve(&self, connection: &Connection, mut watching: bool, mut done: impl FnMut() -> bool) {
        while !done() {
            let command = if watching { self.io.poll() } else { Some(self.io.wait()) };
            let turn = match command {
                Some(Command::Flush) => self.queue.acquire_gathered(),
                Some(Command::Writable) => {
                    connection.half.lock().unwrap().room += FRAME - 1;
                    self.queue.acquire()
                }
                Some(Command::Watch) => {
                    watching = true;
                    false
                }
                Some(Command::Failed) => return,
                Some(Command::Sent) => false,
                None => match self.queue.watch(false) {
                    Watch::Over => {
                        watching = false;
                        false
                    }
                    Watch::Progress => {
                        thread::yield_now();
                        false
                    }
                    Watch::Stalled => true,
                },
            };
            if turn {
                watching |= connection.write_with_token();
            }
        }
    }
}

/// Sends `count` messages over one connection and checks what comes out.
fn one_connection(
    config: QueueConfig,
    count: u8,
    (room, budget): (usize, usize),
    before_each: impl Fn(&Ends, u8) + Copy + Send + Sync + 'static,
) {
    check(move || {
        let ends = Ends::new(config);
        let connection = Connection::new(&ends, room, false, budget);
        let watching = ends.establish(&connection);
        let sender = ends.producer(count, before_each);
        ends.serve(&connection, watching, || connection.is_out(count.into()));
        sender.join().unwrap();
        assert_eq!(connection.wire(), (0..count).collect::<Vec<_>>());
        assert_eq!(ends.queue.in_flight(), 0, "all credit has been returned");
    });
}

/// Pushes from the second on are gathered.
fn stream(ends: &Ends, body: u8) {
    if body == 1 {
        ends.queue.set_streaming(true);
    }
}

#[test]
fn messages_that_bypass_and_messages_that_gather_go_out_in_order() {
    one_connection(config(0), 4, (usize::MAX, usize::MAX), stream);
}

#[test]
fn a_batch_that_fills_up_is_written_by_its_producer_in_order() {
    let config = QueueConfig { batch_messages: 2, ..config(0) };
    one_connection(config, 4, (usize::MAX, usize::MAX), stream);
}

#[test]
fn a_blocked_connection_is_continued_when_it_takes_bytes_again() {
    one_connection(config(0), 3, (FRAME + 1, usize::MAX), |_, _| {});
}

#[test]
fn a_writer_at_the_end_of_its_budget_leaves_the_rest_to_the_io_thread() {
    one_connection(config(0), 3, (usize::MAX, FRAME - 1), stream);
}

#[test]
fn a_full_queue_is_flushed_by_its_producer_or_reports_room() {
    one_connection(config(1), 3, (FRAME + 1, usize::MAX), |_, _| {});
    one_connection(config(2), 4, (usize::MAX, usize::MAX), stream);
}

#[test]
fn a_full_queue_that_only_the_io_thread_drains_reports_room() {
    let config = QueueConfig { direct: false, ..config(1) };
    one_connection(config, 3, (FRAME + 1, usize::MAX), |_, _| {});
}

#[test]
fn a_flush_before_a_wait_writes_what_has_gathered() {
    let config = QueueConfig { gather: Some(true), ..config(0) };
    one_connection(config, 3, (usize::MAX, usize::MAX), |ends, _| ends.flush());
}

#[test]
fn a_producer_that_takes_over_leaves_nothing_behind() {
    one_connection(config(0), 3, (FRAME + 1, usize::MAX), |ends, _| ends.take_over());
    one_connection(config(0), 3, (usize::MAX, FRAME - 1), |ends, body| {
        stream(ends, body);
        ends.take_over();
    });
}

#[test]
fn a_watched_stream_is_written_whether_its_producer_goes_on_or_stops() {
    let config = QueueConfig { batch_messages: 2, ..config(0) };
    check(move || {
        let ends = Ends::new(config);
        let connection = Connection::new(&ends, usize::MAX, false, usize::MAX);
        ends.establish(&connection);
        assert!(ends.queue.acquire_idle());
        ends.queue.set_streaming(true);
        ends.queue.start_watch(0);
        let sender = ends.producer(3, |_, _| {});
        ends.serve(&connection, true, || connection.is_out(3));
        sender.join().unwrap();
        assert_eq!(connection.wire(), [0, 1, 2]);
        assert_eq!(ends.queue.in_flight(), 0);
    });
}

/// Sends a command while `count` messages are sent, on a thread of its own.
fn one_command(config: QueueConfig, count: u8, room: usize, before_each: fn(&Ends, u8)) {
    check(move || {
        let ends = Ends::new(config);
        let connection = Connection::new(&ends, room, false, usize::MAX);
        ends.establish(&connection);
        let sender = ends.producer(count, before_each);
        let commander = {
            let connection = Arc::clone(&connection);
            thread::spawn(move || {
                connection.send_command();
                connection.io.post(Command::Sent);
            })
        };
        ends.serve(&connection, false, || connection.is_out(usize::from(count) + 1));
        sender.join().unwrap();
        commander.join().unwrap();
        let mut wire = connection.wire();
        assert_eq!(wire.iter().filter(|body| **body == CONTROL).count(), 1);
        wire.retain(|body| *body != CONTROL);
        assert_eq!(wire, (0..count).collect::<Vec<_>>());
    });
}

#[test]
fn a_command_goes_out_once_between_messages_whoever_writes() {
    one_command(config(0), 2, FRAME + 1, |_, _| {});
}

#[test]
fn a_command_in_a_stream_does_not_strand_it() {
    let config = QueueConfig { batch_messages: 2, ..config(0) };
    one_command(config, 4, usize::MAX, stream);
}

/// Breaks the first connection after `room` bytes, or at any time if that is never reached, and checks that
/// the two connections carry each message once and in order.
fn reconnect(config: QueueConfig, count: u8, room: usize, before_each: fn(&Ends, u8)) {
    check(move || {
        let ends = Ends::new(config);
        let first = Connection::new(&ends, room, true, usize::MAX);
        let watching = ends.establish(&first);
        let sender = ends.producer(count, before_each);
        if room < usize::from(count) * FRAME {
            ends.serve(&first, watching, || false);
        }
        first.take_down();
        *ends.slot.lock().unwrap() = None;
        let whole = first.wire();
        let second = Connection::new(&ends, usize::MAX, false, usize::MAX);
        let watching = ends.establish(&second);
        let left = usize::from(count) - whole.len();
        ends.serve(&second, watching, || second.is_out(left));
        sender.join().unwrap();
        assert_eq!([whole, second.wire()].concat(), (0..count).collect::<Vec<_>>());
        assert_eq!(first.wire().len() + left, count.into(), "nothing is written once it is down");
        assert_eq!(ends.queue.in_flight(), 0, "all credit has been returned");
    });
}

#[test]
fn a_connection_lost_at_any_time_neither_loses_nor_doubles_nor_reorders() {
    reconnect(config(0), 3, usize::MAX, |_, _| {});
}

#[test]
fn a_connection_lost_in_a_stream_neither_loses_nor_doubles_nor_reorders() {
    let config = QueueConfig { batch_messages: 2, ..config(0) };
    reconnect(config, 4, usize::MAX, stream);
}

#[test]
fn a_connection_that_breaks_within_a_message_sends_it_again_on_the_next() {
    for room in [0, 1, FRAME, FRAME + 1] {
        reconnect(config(0), 3, room, |_, _| {});
    }
}

#[test]
fn a_producer_blocked_when_the_connection_breaks_goes_on_with_the_next() {
    reconnect(config(1), 3, FRAME + 1, |_, _| {});
    reconnect(config(2), 4, usize::MAX, stream);
}
