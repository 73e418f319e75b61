//! The read half of a connection: from bytes to validated frames in the pipe's format.
//!
//! Bytes that are ZMTP/2 frames already are handed on in the buffer they were read into. Frames of any other
//! form are opened and copied, one by one.
//!
//! Used by the I/O thread or, while it holds the connection's lease, by the application thread that waits
//! for messages.

use std::collections::VecDeque;
use std::mem::MaybeUninit;

use zlink_pipe::{Body, Buf, BufMut, Chunk, Entry, Message, Position};
use zlink_zmtp::SocketType;
use zlink_zmtp::cipher::{CipherError, Opened, Opener};
use zlink_zmtp::command::{self, Command};
use zlink_zmtp::frame::{FrameError, FrameHeader, MAX_HEADER_LEN, decode_header, encode_header};
use zlink_zmtp::zws::frame::Kind;

use super::framing::{Framing, Header};

/// Most a read buffer grows to, and most among many connections.
const MAX_BUFFER: usize = 256 * 1024;
const MAX_OF_MANY: usize = 16 * 1024;
/// Bytes that the read buffers of an I/O thread's connections grow to together: what is received lies in a processor's
/// caches until it is read, and buffers that hold half as much are read twice as often.
const MAX_TOGETHER: usize = 3 << 20;
/// A frame that does not fit the rest of the buffer and whose body is at least this long is read straight
/// into storage of its own.
const OWN_STORAGE: usize = 16 * 1024;
/// Storage for a body grows with what arrives, from this size on: the peer's word for the length is not
/// trusted with more.
const TRUSTED: usize = 1 << 20;
/// Buffers remembered for reuse once their readers are done with them.
const RECENT: usize = 3;

/// Why the bytes of a peer cannot be accepted.
#[derive(Debug)]
pub(super) enum DecodeError {
    Frame(FrameError),
    Command,
    /// No fault: the peer has said that it will send no more.
    Closed,
    Cipher(CipherError),
}

/// A command that the connection must act on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Ping {
        ttl_deciseconds: u16,
        context: Vec<u8>,
    },
    /// A WebSocket CLOSE, with a code and a reason or without.
    Close(Vec<u8>),
}

/// A body on its way into storage of its own.
struct Large {
    header: Header,
    body: BufMut,
    left: u64,
    /// The one before was large too.
    in_row: bool,
}

pub(super) struct ReadHalf {
    framing: Framing,
    /// Every frame is in a box of its own.
    opener: Option<Box<Opener>>,
    max_body: u64,
    /// Tells which commands are messages for the socket.
    socket_type: SocketType,
    buf: BufMut,
    /// Bytes of `buf` already decoded.
    start: usize,
    large: Option<Large>,
    /// Entries of a message whose last part is not here yet.
    pending: VecDeque<Entry>,
    recent: VecDeque<Buf>,
    next_size: usize,
    min_size: usize,
    max_size: usize,
    /// Whether the frame before was large: another is likely, so read little before its header is known.
    after_large: bool,
    /// Large frames come one after the other, and nothing is sent in between.
    large_row: bool,
}

impl ReadHalf {
    /// `min_size`: the smallest buffer; `max_message`: the longest frame accepted, without its header, `None` without
    /// limit. (A frame in a box is longer than its body.)
    pub(super) fn new(
        framing: Framing,
        max_message: Option<u64>,
        socket_type: SocketType,
        min_size: usize,
    ) -> Self {
        ReadHalf {
            framing,
            opener: None,
            max_body: max_message.unwrap_or(u64::MAX),
            socket_type,
            buf: BufMut::with_capacity(0),
            start: 0,
            large: None,
            pending: VecDeque::new(),
            recent: VecDeque::new(),
            next_size: min_size,
            min_size,
            max_size: MAX_BUFFER.max(min_size),
            after_large: false,
            large_row: false,
        }
    }

    /// Lets every frame go through `opener`.
    pub(super) fn with_opener(self, opener: Option<Opener>) -> Self {
        ReadHalf { opener: opener.map(Box::new), ..self }
    }

    /// How many connections share the I/O thread, this one among them: the more, the smaller are their buffers.
    pub(super) fn set_company(&mut self, connections: usize) {
        let each = (MAX_TOGETHER / connections.max(1)).clamp(MAX_OF_MANY, MAX_BUFFER);
        self.max_size = each.max(self.min_size);
        self.next_size = self.next_size.min(self.max_size);
    }

    /// Bytes of a body that are still to come, one in a stream of large ones; else 0.
    pub(super) fn awaited(&self) -> u64 {
        self.large.as_ref().filter(|large| large.in_row).map_or(0, |large| large.left)
    }

    /// Whether large frames come one after the other.
    pub(super) fn is_in_row(&self) -> bool {
        self.large_row
    }

    /// Notes that something was sent to the peer: what comes next may be an answer.
    pub(super) fn note_sent(&mut self) {
        self.large_row = false;
    }

    /// Whether frames are in the pipe's form as they arrive.
    fn is_as_is(&self) -> bool {
        self.framing == Framing::V2 && self.opener.is_none()
    }

    /// Reads once with `read` and decodes. Complete messages are appended to `ready`, commands to `notices`.
    /// Returns the number of bytes read; 0 is the end of the stream. `full` tells whether the read filled
    /// the buffer, so that another is worth while.
    pub(super) fn read<E>(
        &mut self,
        read: impl for<'a> FnOnce(&'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8], E>,
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<ReadOutcome, ReadError<E>> {
        if let Some(large) = &mut self.large {
            let room = usize::try_from(large.left).unwrap_or(usize::MAX);
            if large.body.room() == 0 {
                let size = large.body.len() + room.min(large.body.len().max(TRUSTED));
                large.body.grow(size);
            }
            let wanted = room.min(large.body.room());
            let n = large.body.fill(wanted, read).map_err(ReadError::Io)?;
            large.left -= n as u64;
            if large.left == 0 {
                self.finish_large(ready, notices).map_err(ReadError::Decode)?;
            }
            return Ok(ReadOutcome { bytes: n, full: n == wanted });
        }
        self.make_room();
        if self.framing == Framing::Raw {
            return self.read_raw(read, ready);
        }
        let limit = if self.after_large { self.min_size } else { usize::MAX };
        let wanted = self.buf.room().min(limit);
        let n = self.buf.fill(limit, read).map_err(ReadError::Io)?;
        self.adapt(n);
        if n > 0 {
            self.decode(ready, notices).map_err(ReadError::Decode)?;
        }
        Ok(ReadOutcome { bytes: n, full: n == wanted })
    }

    /// As [`read`](Self::read), where bytes are messages as they come, none longer than the smallest buffer.
    fn read_raw<E>(
        &mut self,
        read: impl for<'a> FnOnce(&'a mut [MaybeUninit<u8>]) -> Result<&'a mut [u8], E>,
        ready: &mut VecDeque<Entry>,
    ) -> Result<ReadOutcome, ReadError<E>> {
        let wanted = self.buf.room();
        let n = self.buf.fill(wanted, read).map_err(ReadError::Io)?;
        self.adapt(n);
        let parts = n.div_ceil(self.min_size);
        let mut frames = Frames { bytes: Some(self.reuse(n + parts * MAX_HEADER_LEN)), ..Frames::default() };
        for part in self.buf.as_slice().chunks(self.min_size) {
            frames.push(false, part);
        }
        self.start = self.buf.len();
        self.pass_frames(frames, ready);
        Ok(ReadOutcome { bytes: n, full: n == wanted })
    }

    /// Decodes bytes that arrived behind the handshake.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DecodeError> {
        while !bytes.is_empty() {
            let n = self.read_copy(bytes, ready, notices)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    fn read_copy(
        &mut self,
        bytes: &[u8],
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<usize, DecodeError> {
        let outcome = self.read::<std::convert::Infallible>(
            |spare| {
                let n = spare.len().min(bytes.len());
                Ok(spare[..n].write_copy_of_slice(&bytes[..n]))
            },
            ready,
            notices,
        );
        match outcome {
            Ok(outcome) => Ok(outcome.bytes),
            Err(ReadError::Decode(error)) => Err(error),
            Err(ReadError::Io(never)) => match never {},
        }
    }

    /// Makes room in the buffer for another read.
    fn make_room(&mut self) {
        if self.start == self.buf.len() {
            if self.buf.capacity() < self.next_size {
                self.buf = self.reuse(self.next_size);
            }
            self.buf.truncate(0);
            self.start = 0;
        }
        if self.buf.room() > 0 {
            return;
        }
        let rest = self.buf.len() - self.start;
        let mut next = self.reuse(self.next_size.max(rest * 2));
        next.extend_from_slice(&self.buf.as_slice()[self.start..]);
        self.buf = next;
        self.start = 0;
    }

    /// A buffer of at least `size` bytes: one whose readers are done with it, or a new one.
    fn reuse(&mut self, size: usize) -> BufMut {
        self.recycled(size).unwrap_or_else(|| BufMut::with_capacity(size))
    }

    /// A buffer of at least `size` bytes whose readers are done with it.
    fn recycled(&mut self, size: usize) -> Option<BufMut> {
        for _ in 0..self.recent.len() {
            match self.recent.pop_front().map(Buf::into_mut) {
                Some(Ok(buf)) if buf.capacity() >= size && buf.capacity() <= size * 4 => return Some(buf),
                Some(Err(shared)) => self.recent.push_back(shared),
                Some(Ok(_)) | None => {}
            }
        }
        None
    }

    /// Lets the buffer grow with traffic and shrink without.
    fn adapt(&mut self, n: usize) {
        if self.buf.room() == 0 {
            self.next_size = (self.buf.capacity() * 4).clamp(self.min_size, self.max_size);
        } else if n < self.buf.capacity() / 16 && self.next_size > self.min_size {
            self.next_size = (self.next_size / 2).max(self.min_size);
        }
    }

    /// Whether the frame, which is not complete yet, is to be read into storage of its own.
    fn wants_storage(&self, header: &FrameHeader, at: usize) -> bool {
        // No sum here can overflow: a body is shorter than 2^63.
        let needed = header.body_len + u64::from(header.header_len);
        let fits = needed <= (self.buf.capacity() - at) as u64;
        !fits && header.body_len >= OWN_STORAGE as u64 && !header.is_command()
    }

    fn decode(&mut self, ready: &mut VecDeque<Entry>, notices: &mut Vec<Notice>) -> Result<(), DecodeError> {
        self.large_row &= std::mem::take(&mut self.after_large);
        if self.is_as_is() { self.decode_as_is(ready, notices) } else { self.decode_others(ready, notices) }
    }

    /// Walks the frames that are complete in the buffer and passes them on.
    fn decode_as_is(
        &mut self,
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DecodeError> {
        let end = self.buf.len();
        let mut run = Run { from: self.start, boundary: self.start, at: self.start, messages: 0 };
        loop {
            let bytes = &self.buf.as_slice()[run.at..end];
            let Some(header) = decode_header(bytes, self.max_body).map_err(DecodeError::Frame)? else {
                break;
            };
            let header_len = usize::from(header.header_len);
            let available = (bytes.len() - header_len) as u64;
            if header.body_len > available {
                if self.wants_storage(&header, run.at) {
                    self.copy_out(&run, ready);
                    self.start_large(Header::from(header), run.at + header_len);
                    return Ok(());
                }
                break;
            }
            let body = run.at + header_len;
            let frame_end = body + header.body_len as usize;
            if header.is_command() {
                self.copy_out(&run, ready);
                self.command(&self.buf.as_slice()[body..frame_end], ready, notices)?;
                self.start = frame_end;
                run = Run { from: frame_end, boundary: frame_end, at: frame_end, messages: 0 };
                continue;
            }
            run.at = frame_end;
            if !header.more() {
                run.messages += 1;
                run.boundary = frame_end;
            }
        }
        self.hand_over(&run, ready);
        Ok(())
    }

    /// Opens the frames that are complete in the buffer and passes them on in the pipe's form.
    fn decode_others(
        &mut self,
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DecodeError> {
        let mut frames = Frames::default();
        loop {
            let bytes = &self.buf.as_slice()[self.start..];
            let header = self.framing.header(bytes, self.max_body).map_err(DecodeError::Frame)?;
            let Some(header) = header else { break };
            let body = self.start + usize::from(header.frame.header_len);
            if header.frame.body_len > (self.buf.len() - body) as u64 {
                if self.wants_storage(&header.frame, self.start) {
                    self.pass_frames(frames, ready);
                    self.start_large(header, body);
                    return Ok(());
                }
                break;
            }
            let end = body + header.frame.body_len as usize;
            let bytes = &mut self.buf.as_mut_slice()[body..end];
            let opened = match open(self.opener.as_deref_mut(), &header, bytes) {
                Ok(opened) => opened,
                Err(error) => {
                    self.pass_frames(frames, ready);
                    return Err(error);
                }
            };
            self.start = end;
            if !opened.command {
                let body = body + opened.body.start..body + opened.body.end;
                if frames.bytes.is_none() {
                    // The frames of what is left, whose headers may be longer in the pipe's form.
                    let rest = self.buf.len() - body.start;
                    frames.bytes = Some(self.reuse(rest + rest / 32 + MAX_HEADER_LEN));
                }
                frames.push(opened.more, &self.buf.as_slice()[body]);
                continue;
            }
            // It may stand for a message: those before it come first.
            self.pass_frames(std::mem::take(&mut frames), ready);
            let bytes = &self.buf.as_slice()[body..end][opened.body];
            if let Some(kind) = header.control() {
                control(kind, bytes, notices)?;
                continue;
            }
            self.command(bytes, ready, notices)?;
        }
        self.pass_frames(frames, ready);
        Ok(())
    }

    fn pass_frames(&mut self, frames: Frames, ready: &mut VecDeque<Entry>) {
        let Frames { bytes: Some(bytes), boundary, messages } = frames else { return };
        let run = Run { from: 0, boundary, at: bytes.len(), messages };
        let buf = bytes.freeze();
        if self.recent.len() < RECENT {
            self.recent.push_back(buf.clone());
        }
        for (start, end, messages) in run.ranges() {
            self.pass(Chunk::new(buf.clone(), start, end, messages), ready);
        }
    }

    /// Passes a run on as a copy, since what follows it still lies in the buffer.
    fn copy_out(&mut self, run: &Run, ready: &mut VecDeque<Entry>) {
        for (start, end, messages) in run.ranges() {
            let mut copy = BufMut::with_capacity(end - start);
            copy.extend_from_slice(&self.buf.as_slice()[start..end]);
            self.pass(Chunk::new(copy.freeze(), 0, end - start, messages), ready);
        }
        self.start = run.at;
    }

    /// Passes the buffer itself on with the run in it, and goes on in another, which gets the start of the
    /// next frame.
    fn hand_over(&mut self, run: &Run, ready: &mut VecDeque<Entry>) {
        self.start = run.at;
        if run.at == run.from {
            return;
        }
        let rest = self.buf.len() - run.at;
        let size = self.next_size.max(rest * 2);
        let small = run.at - run.from < self.buf.capacity() / 8;
        let mut next = match self.recycled(size) {
            Some(next) => next,
            // The readers are behind: what is small must not hold a buffer each.
            None if small && self.recent.len() == RECENT => return self.copy_out(run, ready),
            None => BufMut::with_capacity(size),
        };
        next.extend_from_slice(&self.buf.as_slice()[run.at..]);
        let buf = std::mem::replace(&mut self.buf, next).freeze();
        self.start = 0;
        if self.recent.len() < RECENT {
            self.recent.push_back(buf.clone());
        }
        for (start, end, messages) in run.ranges() {
            self.pass(Chunk::new(buf.clone(), start, end, messages), ready);
        }
    }

    /// Passes on frames in which some messages end; with none, they wait for the rest of theirs.
    fn pass(&mut self, chunk: Chunk, ready: &mut VecDeque<Entry>) {
        let complete = chunk.messages() > 0;
        let position = if complete { Position::Whole } else { Position::Middle };
        self.pending.push_back(Entry::Chunk { chunk, position });
        if complete {
            ready.append(&mut self.pending);
        }
    }

    fn start_large(&mut self, header: Header, body_start: usize) {
        let got = &self.buf.as_slice()[body_start..];
        let trusted = usize::try_from(header.frame.body_len).unwrap_or(usize::MAX).min(TRUSTED);
        let mut body = BufMut::with_capacity(trusted.max(got.len()));
        body.extend_from_slice(got);
        let left = header.frame.body_len - got.len() as u64;
        self.large = Some(Large { header, body, left, in_row: self.large_row });
        self.buf.truncate(0);
        self.start = 0;
    }

    fn finish_large(
        &mut self,
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DecodeError> {
        let Some(Large { header, mut body, .. }) = self.large.take() else { return Ok(()) };
        self.after_large = true;
        self.large_row = true;
        let (mut more, mut message) = (header.frame.more(), Message::new());
        if self.is_as_is() {
            message = Message::from(body);
        } else {
            let opened = open(self.opener.as_deref_mut(), &header, body.as_mut_slice())?;
            if opened.command {
                return self.command(&body.as_slice()[opened.body], ready, notices);
            }
            more = opened.more;
            message.assign_part(&body.freeze(), opened.body.start, opened.body.end);
        }
        let position = if more { Position::Middle } else { Position::Whole };
        self.pending.push_back(Entry::body(message, more, position));
        if !more {
            ready.append(&mut self.pending);
        }
        Ok(())
    }

    fn command(
        &self,
        body: &[u8],
        ready: &mut VecDeque<Entry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DecodeError> {
        let announcement = |first: u8, name: &[u8]| {
            let message = [&[first], name].concat();
            Entry::message(&mut Body::Slice(&message))
        };
        let publisher = matches!(self.socket_type, SocketType::Pub | SocketType::Xpub);
        let radio = self.socket_type == SocketType::Radio;
        match command::parse(body).map_err(|_| DecodeError::Command)? {
            Command::Ping { ttl_deciseconds, context } => {
                notices.push(Notice::Ping { ttl_deciseconds, context: context.to_vec() });
            }
            Command::Subscribe(topic) if publisher => ready.push_back(announcement(1, topic)),
            Command::Cancel(topic) if publisher => ready.push_back(announcement(0, topic)),
            Command::Join(group) if radio => ready.push_back(announcement(1, group)),
            Command::Leave(group) if radio => ready.push_back(announcement(0, group)),
            // Any traffic counts as a sign of life, so a PONG says nothing more; and what another version or
            // another pattern may mean by its commands is none of ours.
            _ => {}
        }
        Ok(())
    }
}

/// A run of complete message frames in the buffer: `from..at`, with the end of its last whole message at
/// `boundary`.
struct Run {
    from: usize,
    boundary: usize,
    at: usize,
    messages: usize,
}

impl Run {
    /// The whole messages, then the frames of a message that goes on; each with the messages that end in it.
    fn ranges(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        [(self.from, self.boundary, self.messages), (self.boundary, self.at, 0)]
            .into_iter()
            .filter(|(start, end, _)| start < end)
    }
}

/// Makes the body of a complete frame readable, in place: `bytes` are what follows its header.
fn open(opener: Option<&mut Opener>, header: &Header, bytes: &mut [u8]) -> Result<Opened, DecodeError> {
    header.unmask(bytes);
    match opener.filter(|_| header.control().is_none()) {
        // The flags of the header are not in the box: nobody vouches for them, and so they count for nothing.
        Some(opener) => opener.open(bytes).map_err(DecodeError::Cipher),
        None => {
            Ok(Opened { more: header.frame.more(), command: header.frame.is_command(), body: 0..bytes.len() })
        }
    }
}

/// Notes what a frame of WebSocket's own asks for.
fn control(kind: Kind, body: &[u8], notices: &mut Vec<Notice>) -> Result<(), DecodeError> {
    match kind {
        Kind::Ping => notices.push(Notice::Ping { ttl_deciseconds: 0, context: body.to_vec() }),
        Kind::Close => {
            notices.push(Notice::Close(body.to_vec()));
            return Err(DecodeError::Closed);
        }
        // A sign of life, and as such counted.
        _ => {}
    }
    Ok(())
}

/// Frames in the pipe's form that were copied together.
#[derive(Default)]
struct Frames {
    /// `None` before the first.
    bytes: Option<BufMut>,
    /// The end of the last whole message.
    boundary: usize,
    messages: usize,
}

impl Frames {
    fn push(&mut self, more: bool, body: &[u8]) {
        let mut header = [0; MAX_HEADER_LEN];
        let n = encode_header(more, false, body.len() as u64, &mut header);
        let bytes = self.bytes.get_or_insert_with(|| BufMut::with_capacity(n + body.len()));
        bytes.extend_from_slice(&header[..n]);
        bytes.extend_from_slice(body);
        if !more {
            self.boundary = bytes.len();
            self.messages += 1;
        }
    }
}

/// What a read brought.
pub(super) struct ReadOutcome {
    /// 0 is the end of the stream.
    pub(super) bytes: usize,
    /// The read took as much as was asked for, so that another is worth while.
    pub(super) full: bool,
}

/// Why a read failed.
pub(super) enum ReadError<E> {
    Io(E),
    Decode(DecodeError),
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
