use std::collections::VecDeque;

use zlink_pipe::{
    Body, Buf, Cursor, Entry, Holder, Position, Pushed, Queue, QueueConfig, Staging, Watch, Writer,
};

use crate::input::Input;

/// A queue against a list of messages, its consumer a socket or a connection.
pub fn queue_ops(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let config = QueueConfig {
        hwm: usize::from(input.byte() % 12),
        conflate: flags & 1 != 0,
        direct: flags & 2 != 0,
        gather: [None, None, Some(false), Some(true)][usize::from(flags >> 2) & 3],
        batch_bytes: input.choose(&[1, 50, 5000, 65_536]),
        batch_messages: usize::from(flags >> 4) & 3,
        ..QueueConfig::default()
    };
    let mut driver = Driver {
        queue: Queue::new(config),
        config,
        staging: Staging::new(),
        staged: None,
        next: 0,
        expected: VecDeque::new(),
        half: Half::default(),
        spent: Vec::new(),
        token: false,
        waits: false,
    };
    if flags & 0x80 != 0 && !config.conflate {
        driver.as_connection(&mut input)
    } else {
        driver.as_socket(&mut input)
    }
}

type Parts = Vec<Vec<u8>>;

struct Driver {
    queue: Queue,
    config: QueueConfig,
    staging: Staging,
    staged: Option<Parts>,
    next: u64,
    /// Messages accepted and not yet delivered.
    expected: VecDeque<Parts>,
    half: Half,
    spent: Vec<Buf>,
    token: bool,
    /// The producer was refused, or had better wait, and has not been told of room since.
    waits: bool,
}

/// The write half of a connection, and what went out on it.
#[derive(Default)]
struct Half {
    batch: VecDeque<Entry>,
    offset: usize,
    unfinished: VecDeque<Entry>,
    credit: usize,
    wire: Vec<u8>,
}

impl Driver {
    /// A body that no other one equals, of a length that takes each path.
    fn body(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let len = input.choose(&[8, 8, 20, 255, 256, 2000, 16_383, 16_384, 70_000, 400_000]);
        let mut body = self.next.to_be_bytes().to_vec();
        self.next += 1;
        body.resize(len, 0xAB);
        body
    }

    fn accepted(&mut self, parts: Parts) {
        if self.config.conflate {
            self.expected.clear();
        }
        self.expected.push_back(parts);
    }

    /// A send of one part.
    fn push_one(&mut self, input: &mut Input<'_>) {
        let body = self.body(input);
        let before = self.queue.in_flight();
        let mut pushed = self.queue.push_one(&mut Body::Slice(&body));
        if pushed == Pushed::Bypass && input.byte().is_multiple_of(2) {
            let gathers = self.queue.decline_bypass(usize::from(input.byte() % 8));
            assert_eq!(gathers, self.config.gather.is_none());
            if gathers {
                assert_eq!((self.queue.writer(), self.queue.in_flight()), (Writer::Idle, before));
                pushed = self.queue.push_one(&mut Body::Slice(&body));
                assert_ne!(pushed, Pushed::Bypass, "it was to gather");
            }
        }
        self.after_push(pushed, vec![body], before);
    }

    fn after_push(&mut self, pushed: Pushed, parts: Parts, before: usize) {
        match pushed {
            Pushed::Full | Pushed::FlushFirst => {
                assert!(self.config.hwm != 0 && before >= self.config.hwm && !self.config.conflate);
                assert_eq!(self.queue.in_flight(), before);
                self.refused(pushed);
            }
            Pushed::Queued | Pushed::Wake | Pushed::Watched => self.accepted(parts),
            Pushed::Write => {
                self.accepted(parts);
                self.take_granted();
            }
            Pushed::Bypass => {
                assert!(self.queue.is_empty(), "it would overtake what has gathered");
                self.take_granted();
                let mut staging = Staging::new();
                let last = parts.len() - 1;
                for (i, part) in parts.iter().enumerate() {
                    staging.add(&mut Body::Slice(part), i < last);
                }
                self.half.batch.extend(staging.take_entries());
                self.accepted(parts);
            }
        }
        assert!(self.config.conflate || self.queue.in_flight() <= before + 1);
    }

    fn refused(&mut self, pushed: Pushed) {
        if pushed == Pushed::FlushFirst {
            self.take_granted();
        } else {
            self.waits = true;
        }
    }

    /// The answer of whatever may tell the producer of room.
    fn told(&mut self, unblocked: bool) {
        assert!(self.waits || !unblocked, "nobody waits");
        self.waits &= !unblocked;
    }

    /// What a producer that can wait asks before a large message.
    fn ask_depth(&mut self) {
        if self.queue.is_deep() {
            self.waits = true;
            assert_ne!(self.queue.writer(), Writer::Idle, "nobody would tell it");
        }
    }

    fn hurry(&mut self) {
        self.queue.hurry();
        assert!(!self.queue.is_deep(), "it was to push one");
    }

    fn take_granted(&mut self) {
        assert!(!self.token, "the token has one holder");
        assert!(self.queue.confirm());
        self.token = true;
    }

    /// A part of a multipart message; the last one sends it.
    fn stage(&mut self, input: &mut Input<'_>) -> Option<Pushed> {
        let more = !input.byte().is_multiple_of(3);
        if self.staged.is_none() {
            match self.queue.check_room() {
                Ok(room) => {
                    assert!(room > 0);
                    self.staged = Some(Vec::new());
                }
                Err(refused) => {
                    self.refused(refused);
                    return None;
                }
            }
        }
        let body = self.body(input);
        self.staging.add(&mut Body::Slice(&body), more);
        let mut parts = self.staged.take()?;
        parts.push(body);
        assert_eq!(self.staging.parts(), parts.len());
        if more {
            self.staged = Some(parts);
            return None;
        }
        let before = self.queue.in_flight();
        let pushed = self.queue.push_staged(&mut self.staging);
        assert!(!matches!(pushed, Pushed::Full | Pushed::FlushFirst));
        self.after_push(pushed, parts, before);
        self.staging.clear();
        Some(pushed)
    }

    fn roll_back(&mut self) {
        self.staging.clear();
        self.staged = None;
        assert_eq!(self.staging.parts(), 0);
    }

    fn as_socket(&mut self, input: &mut Input<'_>) {
        let (mut cursor, mut parts, mut told) = (Cursor::new(), Vec::new(), false);
        // Messages that were taken out of the queue, and how many were read without credit.
        let (mut held, mut read) = (VecDeque::new(), 0);
        while !input.is_empty() {
            match input.byte() % 8 {
                0..=2 => {
                    let body = self.body(input);
                    let before = self.queue.in_flight();
                    let pushed = self.queue.push_one(&mut Body::Slice(&body));
                    // A consumer that gathers for some time hears of each complete batch.
                    let again = self.config.gather == Some(true) && !self.config.direct;
                    assert!(!(pushed == Pushed::Wake && told) || again, "it was woken twice");
                    told |= pushed == Pushed::Wake;
                    self.after_push(pushed, vec![body], before);
                }
                3 => told |= self.stage(input) == Some(Pushed::Wake),
                4 => self.roll_back(),
                5 => {
                    if input.byte().is_multiple_of(8) {
                        self.queue.clear();
                        self.expected.clear();
                    }
                }
                _ => {
                    if !cursor.has_frame() {
                        let _ = cursor.refill(&self.queue);
                        held.append(&mut self.expected);
                        (read, told) = (0, told && cursor.has_frame());
                    }
                    if let Some(part) = cursor.next_message() {
                        parts.push(part.to_vec());
                        if !part.more() {
                            read += 1;
                            assert!(
                                held.pop_front() == Some(std::mem::take(&mut parts)),
                                "another message came"
                            );
                        }
                    }
                }
            }
            assert_eq!(self.queue.in_flight(), self.expected.len() + held.len() + read);
            assert!(told || self.queue.is_empty(), "nobody was told of what lies there");
        }
    }

    fn as_connection(&mut self, input: &mut Input<'_>) {
        while !input.is_empty() {
            if self.token {
                self.use_token(input);
                continue;
            }
            match input.byte() % 18 {
                0..=4 => self.push_one(input),
                5 => {
                    self.stage(input);
                }
                6 => self.roll_back(),
                7 if self.queue.writer() == Writer::Detached => {
                    self.queue.attach();
                    self.token = true;
                }
                8 => self.token = self.queue.acquire(),
                9 => self.token = self.queue.acquire_gathered(),
                10 => {
                    if self.queue.acquire_to_flush() {
                        self.take_granted();
                    }
                }
                11 => self.token = self.queue.watch(false) == Watch::Stalled,
                12 => self.queue.set_streaming(input.flag()),
                13 => {
                    self.config.hwm = usize::from(input.byte() % 12);
                    let unblocked = self.queue.set_hwm(self.config.hwm);
                    self.told(unblocked);
                }
                14 => self.ask_depth(),
                15 => self.hurry(),
                16 => {
                    if self.queue.acquire_to_take_over() {
                        self.take_granted();
                    }
                }
                _ => self.token = self.queue.acquire_idle(),
            }
        }
        // To the end: whatever was accepted comes out.
        self.roll_back();
        if !self.token {
            match self.queue.writer() {
                Writer::Detached => self.queue.attach(),
                _ => assert!(self.queue.acquire()),
            }
            self.token = true;
        }
        self.queue.take_for_write(&mut self.half.batch, &mut self.spent);
        self.write(usize::MAX);
        let unblocked = self.queue.detach(std::mem::take(&mut self.half.credit), &mut VecDeque::new());
        self.told(unblocked);
        assert!(!self.waits, "the producer was not told of room");
        self.deliver();
        assert!(self.expected.is_empty(), "{} messages were lost", self.expected.len());
        assert_eq!(self.queue.in_flight(), 0);
    }

    fn use_token(&mut self, input: &mut Input<'_>) {
        let writer = self.queue.writer();
        assert_eq!(writer, Writer::Busy);
        assert!(!self.queue.acquire() && !self.queue.acquire_idle() && !self.queue.acquire_gathered());
        match input.byte() % 10 {
            0 | 1 => {
                self.queue.take_for_write(&mut self.half.batch, &mut self.spent);
            }
            2 | 3 => {
                let long = input.flag();
                self.write(input.below(if long { 60_000 } else { 30 }));
            }
            4 if self.half.batch.is_empty() => {
                let by = if input.flag() { Holder::Producer } else { Holder::IoThread };
                let release = self.queue.release(by, std::mem::take(&mut self.half.credit));
                self.told(release.unblocked);
                // An I/O thread keeps the token to watch a stream.
                self.token = self.queue.writer() == Writer::Busy;
                assert!(self.token || !release.more);
                if self.token && !release.more {
                    let unblocked = self.queue.start_watch(0);
                    self.told(unblocked);
                    self.token = false;
                }
            }
            5 => {
                let unblocked = self.queue.block(std::mem::take(&mut self.half.credit));
                self.told(unblocked);
                self.token = false;
            }
            6 => {
                let unblocked = self.queue.pause(std::mem::take(&mut self.half.credit));
                self.told(unblocked);
                self.token = false;
            }
            7 => self.lose_connection(),
            8 => self.ask_depth(),
            9 => self.hurry(),
            // While somebody writes, messages gather.
            _ => self.push_one(input),
        }
    }

    /// The kernel takes `room` bytes.
    fn write(&mut self, mut room: usize) {
        while let Some(front) = self.half.batch.front() {
            for bytes in front.slices_from(self.half.offset) {
                let n = bytes.len().min(room);
                self.half.wire.extend_from_slice(&bytes[..n]);
                self.half.offset += n;
                room -= n;
            }
            if self.half.offset < front.len() {
                return;
            }
            self.half.offset = 0;
            let Some(entry) = self.half.batch.pop_front() else { return };
            self.half.credit += entry.messages();
            match entry.position() {
                Position::Whole => self.spent.extend(entry.into_buf()),
                Position::First | Position::Middle => self.half.unfinished.push_back(entry),
                Position::Last => self.half.unfinished.clear(),
            }
        }
    }

    /// What was wholly written is delivered; the rest is to come again, from a message boundary.
    fn lose_connection(&mut self) {
        let mut half = std::mem::take(&mut self.half);
        if let Some(front) = half.batch.front_mut() {
            half.credit += front.rewind(half.offset);
            if front.is_empty() {
                half.batch.pop_front();
            }
        }
        while let Some(entry) = half.unfinished.pop_back() {
            half.batch.push_front(entry);
        }
        let unblocked = self.queue.detach(half.credit, &mut half.batch);
        self.told(unblocked);
        self.token = false;
        self.half.wire = half.wire;
        self.deliver();
        assert_eq!(self.queue.in_flight(), self.expected.len());
    }

    /// Compares the whole messages on the wire with what was accepted.
    fn deliver(&mut self) {
        let wire = std::mem::take(&mut self.half.wire);
        let (mut rest, mut parts) = (&wire[..], Vec::new());
        while let Ok(Some(header)) = zlink_zmtp::frame::decode_header(rest, u64::MAX) {
            let start = usize::from(header.header_len);
            let Some(body) = rest.get(start..start + header.body_len as usize) else { break };
            rest = &rest[start + body.len()..];
            parts.push(body.to_vec());
            if !header.more() {
                let message = std::mem::take(&mut parts);
                assert!(self.expected.pop_front() == Some(message), "another message went out");
            }
        }
    }
}
