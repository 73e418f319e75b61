//! From the pipe's entries to bytes on the wire, for connections that do not write them as they are.
//!
//! A frame passes through layers, each with a choice of its own:
//!
//! 1. announcements: what a message that subscribes or joins is to this peer, a message or a command;
//! 2. the sealer, if the mechanism has one: the frame goes into a box;
//! 3. the [framing](super::framing): how the frame is delimited.
//!
//! An entry is encoded once, in the order in which it goes out, and so is a command between entries: a layer may
//! count its frames. Should the connection break, the entries themselves go out again on the next.

use std::collections::VecDeque;

use zlink_pipe::{BY_REFERENCE, Entry};
use zlink_zmtp::cipher::{CipherError, Sealer};
use zlink_zmtp::frame::{MAX_HEADER_LEN, decode_header, encode_header, header_len};
use zlink_zmtp::zws::mask::Keys;
use zlink_zmtp::{Peer, SocketType, command};

use super::framing::{Framing, MAX_HEADER, Outgoing};

/// Entries are encoded ahead of the kernel up to this many bytes.
const BATCH: usize = 64 * 1024;

/// What becomes of messages that begin with 1 or 0 and announce an interest, or the end of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Announcements {
    /// Messages they stay.
    Messages,
    /// SUBSCRIBE and CANCEL commands (3.1).
    Subscriptions,
    /// JOIN and LEAVE commands: a DISH sends nothing else.
    Groups,
}

impl Announcements {
    /// The body of the command that stands for `message`, if one does.
    fn command(self, message: &[u8]) -> Option<Vec<u8>> {
        let name = |yes: &'static [u8], no: &'static [u8], first| if first == 1 { yes } else { no };
        let (name, data) = match (self, message) {
            (Announcements::Subscriptions, [first @ (0 | 1), topic @ ..]) => {
                (name(b"SUBSCRIBE", b"CANCEL", *first), topic)
            }
            (Announcements::Groups, [first @ (0 | 1), group @ ..]) => {
                (name(b"JOIN", b"LEAVE", *first), group)
            }
            _ => return None,
        };
        Some(command::body(name, data))
    }
}

/// The end of an encoded frame.
struct Mark {
    /// Bytes encoded up to here.
    end: usize,
    /// Bytes of the entry up to here.
    source: usize,
    /// The entry ends here.
    last: bool,
}

pub(super) struct Encoder {
    announcements: Announcements,
    /// The next part belongs to a message that has begun: in its place a command would leave that without an end.
    within_message: bool,
    sealer: Option<Box<Sealer>>,
    framing: Framing,
    /// For what a WebSocket client masks.
    keys: Keys,
    /// What was encoded last, and the length of the body that follows it; `written` bytes of both are in the kernel.
    bytes: Vec<u8>,
    tail: usize,
    written: usize,
    /// Entries encoded and not wholly written.
    encoded: usize,
    /// The frames of entries in `bytes` that are not wholly written.
    marks: VecDeque<Mark>,
    /// Bytes of the first unfinished entry that lie in frames wholly written.
    source_written: usize,
}

impl Encoder {
    /// For a peer with which a handshake was made, which gave a `sealer` if the mechanism has such.
    pub(super) fn for_peer(peer: &Peer, ours: SocketType, sealer: Option<Sealer>) -> Self {
        let announcements = match ours {
            SocketType::Sub | SocketType::Xsub if peer.subscribe_commands => Announcements::Subscriptions,
            SocketType::Dish => Announcements::Groups,
            _ => Announcements::Messages,
        };
        Encoder { sealer: sealer.map(Box::new), ..Encoder::new(announcements, peer.framing.into()) }
    }

    /// For a peer that is no ZeroMQ socket: it gets the bodies.
    pub(super) fn raw() -> Self {
        Encoder::new(Announcements::Messages, Framing::Raw)
    }

    /// For a peer that announces nothing.
    #[cfg(feature = "fuzzing")]
    pub(super) fn for_framing(framing: Framing) -> Self {
        Encoder::new(Announcements::Messages, framing)
    }

    fn new(announcements: Announcements, framing: Framing) -> Self {
        let (keys, bytes, marks) = (Keys::new(), Vec::new(), VecDeque::new());
        Encoder {
            announcements,
            within_message: false,
            sealer: None,
            framing,
            keys,
            bytes,
            tail: 0,
            written: 0,
            encoded: 0,
            marks,
            source_written: 0,
        }
    }

    /// Whether the pipe's entries are what goes on the wire: the encoder is not needed.
    #[inline]
    pub(super) fn is_as_is(&self) -> bool {
        self.framing == Framing::V2 && self.announcements == Announcements::Messages && self.sealer.is_none()
    }

    /// Writes the header of a part with a body of `len` bytes, and returns the header's length; `None` if the encoder
    /// does more to it than to put a header in front of it.
    #[inline]
    pub(super) fn header(&self, more: bool, len: usize, out: &mut [u8; MAX_HEADER]) -> Option<usize> {
        if self.announcements != Announcements::Messages || self.sealer.is_some() {
            return None;
        }
        self.framing.write_header(more, len as u64, out)
    }

    /// What is encoded and not written, but for the [`tail`](Self::tail) that follows it.
    pub(super) fn unwritten(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// What is not written of a body that goes out from where it is, that of the last of `entries` that is encoded.
    pub(super) fn tail<'a>(&self, entries: &'a VecDeque<Entry>) -> &'a [u8] {
        let last = self.encoded.checked_sub(1).and_then(|last| entries.get(last));
        match last {
            Some(Entry::Body { body, .. }) if self.tail > 0 => {
                &body.as_slice()[self.written.saturating_sub(self.bytes.len())..]
            }
            _ => &[],
        }
    }

    /// Whether all that is encoded is written.
    pub(super) fn is_written(&self) -> bool {
        self.written == self.bytes.len() + self.tail
    }

    /// Encodes `control`, which it empties, and as many of `entries` as a batch holds, at least one. Everything
    /// encoded before must be written: `entries` are those that follow it.
    ///
    /// Fails if a frame cannot be sealed: then nothing more may be written. What goes out again is all of `entries`.
    pub(super) fn refill(
        &mut self,
        control: &mut Vec<u8>,
        entries: &VecDeque<Entry>,
    ) -> Result<(), CipherError> {
        debug_assert!(self.is_written() && self.marks.is_empty());
        if self.bytes.len() < self.bytes.capacity() / 4 {
            self.bytes.shrink_to(2 * BATCH);
        }
        self.bytes.clear();
        (self.written, self.tail) = (0, 0);
        self.encode_control(control)?;
        control.clear();
        for entry in entries {
            if self.bytes.len() >= BATCH || self.tail > 0 {
                break;
            }
            self.encode_entry(entry)?;
            self.encoded += 1;
        }
        Ok(())
    }

    /// Encodes whole ZMTP/2 frames that come from no entry.
    fn encode_control(&mut self, mut frames: &[u8]) -> Result<(), CipherError> {
        while let Ok(Some(header)) = decode_header(frames, u64::MAX) {
            let (frame, rest) = frames.split_at(usize::from(header.header_len) + header.body_len as usize);
            let body = &frame[usize::from(header.header_len)..];
            self.encode_frame(Outgoing { more: header.more(), command: header.is_command(), body })?;
            frames = rest;
        }
        Ok(())
    }

    fn encode_entry(&mut self, entry: &Entry) -> Result<(), CipherError> {
        let mut header = [0; MAX_HEADER];
        if let (Entry::Body { body, .. }, Some((more, _))) = (entry, entry.frames().next())
            && body.len() >= BY_REFERENCE
            && let Some(n) = self.header(more, body.len(), &mut header)
        {
            self.bytes.extend_from_slice(&header[..n]);
            self.tail = body.len();
            let end = self.bytes.len() + self.tail;
            self.marks.push_back(Mark { end, source: entry.len(), last: true });
            return Ok(());
        }
        let mut source = 0;
        for (more, body) in entry.frames() {
            self.encode_frame(Outgoing { more, command: false, body })?;
            source += header_len(body.len() as u64) + body.len();
            let last = source == entry.len();
            self.marks.push_back(Mark { end: self.bytes.len(), source, last });
        }
        Ok(())
    }

    fn encode_frame(&mut self, frame: Outgoing<'_>) -> Result<(), CipherError> {
        let whole = !frame.command && !frame.more && !self.within_message;
        if !frame.command {
            self.within_message = frame.more;
        }
        match whole.then(|| self.announcements.command(frame.body)).flatten() {
            Some(body) => self.write_frame(Outgoing { more: false, command: true, body: &body }),
            None => self.write_frame(frame),
        }
    }

    fn write_frame(&mut self, frame: Outgoing<'_>) -> Result<(), CipherError> {
        let sealer = self.sealer.as_mut().filter(|_| !self.framing.is_own(frame));
        let Some(sealer) = sealer else {
            self.framing.write(frame, &mut self.keys, &mut self.bytes);
            return Ok(());
        };
        // What is inside is told inside. As with libzmq, it goes as a message, not as a command.
        if self.framing == Framing::V2
            && let Some(len) = sealer.sealed_len(frame.body.len())
        {
            let mut header = [0; MAX_HEADER_LEN];
            let n = encode_header(false, false, len as u64, &mut header);
            self.bytes.extend_from_slice(&header[..n]);
            return sealer.seal(frame.more, frame.command, frame.body, &mut self.bytes);
        }
        let mut sealed = Vec::new();
        sealer.seal(frame.more, frame.command, frame.body, &mut sealed)?;
        let message = Outgoing { more: false, command: false, body: &sealed };
        self.framing.write(message, &mut self.keys, &mut self.bytes);
        Ok(())
    }

    /// Counts `n` more bytes as written. Returns how many entries that finishes.
    pub(super) fn advance(&mut self, n: usize) -> usize {
        self.written += n;
        let mut finished = 0;
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.end <= self.written) {
            self.source_written = if mark.last { 0 } else { mark.source };
            finished += usize::from(mark.last);
        }
        self.encoded -= finished;
        finished
    }

    /// How far into the first unfinished entry the frames reach that are wholly written.
    pub(super) fn source_written(&self) -> usize {
        self.source_written
    }
}

#[cfg(test)]
mod tests {
    use zlink_pipe::{BufMut, Chunk};
    use zlink_zmtp::frame::FLAG_MORE;

    use super::super::testing;
    use super::*;

    fn entry(frames: &[u8], messages: usize) -> Entry {
        let mut buf = BufMut::with_capacity(frames.len());
        buf.extend_from_slice(frames);
        Entry::whole(Chunk::new(buf.freeze(), 0, frames.len(), messages))
    }

    #[test]
    fn cut_at_every_byte_the_rest_begins_at_a_frame() {
        let first = b"\x00\x01a\x01\x02bb\x00\x03ccc";
        let entries = VecDeque::from([entry(first, 2), entry(b"\x00\x00", 1)]);
        let wire = b"\x02\x00a\x03\x01bb\x04\x00ccc\x01\x00";
        for cut in 0..=wire.len() {
            let mut encoder = Encoder::new(Announcements::Messages, Framing::V1);
            encoder.refill(&mut Vec::new(), &entries).expect("seals");
            assert_eq!(encoder.unwritten(), wire);
            let finished = (0..cut).map(|_| encoder.advance(1)).sum::<usize>();
            let expected = match cut {
                0..3 => (0, 0),
                3..7 => (0, 3),
                7..12 => (0, 7),
                12..14 => (1, 0),
                _ => (2, 0),
            };
            assert_eq!((finished, encoder.source_written()), expected, "after {cut} bytes");
            assert_eq!(encoder.unwritten(), &wire[cut..]);
        }
    }

    #[test]
    fn a_large_body_goes_out_from_where_it_is() {
        let long: Vec<u8> = (0..20_000u32).map(|i| i as u8).collect();
        for framing in [Framing::V1, Framing::Raw, Framing::WebSocket { client: false }] {
            for step in [1, 999, 20_000, 50_000] {
                let mut encoder = Encoder::new(Announcements::Messages, framing);
                let mut entries = VecDeque::from([
                    entry(b"\x00\x01a", 1),
                    Entry::body(long.clone().into(), true, zlink_pipe::Position::First),
                    Entry::body(long.clone().into(), false, zlink_pipe::Position::Last),
                    entry(b"\x00\x01z", 1),
                ]);
                let mut expected = Vec::new();
                for (more, body) in [(false, &b"a"[..]), (true, &long), (false, &long), (false, b"z")] {
                    framing.write(Outgoing { more, command: false, body }, &mut Keys::new(), &mut expected);
                }
                let mut wire = Vec::new();
                while !entries.is_empty() {
                    encoder.refill(&mut Vec::new(), &entries).expect("seals");
                    while !encoder.is_written() {
                        let left = [encoder.unwritten(), encoder.tail(&entries)].concat();
                        let n = step.min(left.len());
                        wire.extend_from_slice(&left[..n]);
                        let finished = encoder.advance(n);
                        entries.drain(..finished);
                        assert_eq!(encoder.source_written(), 0, "parts that are entries are repeated whole");
                    }
                    assert!(encoder.bytes.capacity() < 1000);
                }
                assert!(wire == expected, "{framing:?} in steps of {step}");
            }
        }
        // What is more than framed is copied.
        let mut masked = Encoder::new(Announcements::Messages, Framing::WebSocket { client: true });
        let entries = VecDeque::from([Entry::body(long.into(), false, zlink_pipe::Position::Whole)]);
        masked.refill(&mut Vec::new(), &entries).expect("seals");
        assert!(masked.tail(&entries).is_empty() && masked.unwritten().len() > 20_000);
    }

    #[test]
    fn a_batch_is_bounded_and_commands_go_before_what_is_not_encoded_yet() {
        let mut encoder = Encoder::new(Announcements::Subscriptions, Framing::V2);
        let frames = b"\x00\x02\x01a".repeat(10_000);
        let entries = VecDeque::from([entry(&frames, 10_000), entry(b"\x00\x02\x00a", 1)]);
        let mut control = b"\x04\x05\x04PONG\x00\x01x".to_vec();
        encoder.refill(&mut control, &entries).expect("seals");
        assert!(control.is_empty());
        assert!(encoder.unwritten().starts_with(b"\x04\x05\x04PONG\x00\x01x\x04\x0b\x09SUBSCRIBEa"));
        let encoded = encoder.unwritten().len();
        assert_eq!(encoded, 10 + 10_000 * 13, "the second entry waits for its turn");
        assert_eq!(encoder.advance(encoded), 1);
        encoder.refill(&mut control, &entries.into_iter().skip(1).collect()).expect("seals");
        assert_eq!(encoder.unwritten(), b"\x04\x08\x06CANCELa");
    }

    #[test]
    fn sealed_frames_open_to_what_they_were_and_are_counted_as_such() {
        let (ours, mut theirs) = testing::ciphers();
        let mut encoder = Encoder {
            sealer: Some(Box::new(ours.sealer)),
            ..Encoder::new(Announcements::Subscriptions, Framing::V2)
        };
        assert!(!encoder.is_as_is() && encoder.header(false, 1, &mut [0; MAX_HEADER]).is_none());
        let frames = b"\x01\x01a\x00\x02bb\x00\x03\x01to";
        let mut control = b"\x04\x05\x04PONG".to_vec();
        encoder.refill(&mut control, &VecDeque::from([entry(frames, 2)])).expect("seals");
        let wire = encoder.unwritten().to_vec();

        let (mut at, mut ends, mut opened) = (0, Vec::new(), Vec::new());
        while let Ok(Some(header)) = decode_header(&wire[at..], u64::MAX) {
            assert!(!header.more() && !header.is_command());
            let mut body = wire[at + usize::from(header.header_len)..][..header.body_len as usize].to_vec();
            let frame = theirs.opener.open(&mut body).expect("in order");
            opened.push((frame.more, frame.command, body[frame.body].to_vec()));
            at += usize::from(header.header_len) + header.body_len as usize;
            ends.push(at);
        }
        let expected: [(bool, bool, &[u8]); 4] = [
            (false, true, b"\x04PONG"),
            (true, false, b"a"),
            (false, false, b"bb"),
            (false, true, b"\x09SUBSCRIBEto"),
        ];
        assert_eq!(opened, expected.map(|(more, command, body)| (more, command, body.to_vec())));
        for written in 1..=wire.len() {
            let finished = encoder.advance(1);
            assert_eq!(finished, usize::from(written == ends[3]));
            let source = match ends.iter().filter(|end| **end <= written).count() {
                0 | 1 | 4 => 0,
                2 => 3,
                _ => 7,
            };
            assert_eq!(encoder.source_written(), source, "after {written} bytes");
        }
    }

    #[cfg(feature = "gssapi")]
    #[test]
    fn what_cannot_be_sealed_ends_the_writing_and_goes_out_again() {
        let [ours, _] = zlink_zmtp::gssapi::fake::ciphers(2);
        let mut encoder = Encoder {
            sealer: Some(Box::new(ours.sealer)),
            ..Encoder::new(Announcements::Messages, Framing::V2)
        };
        let entries = VecDeque::from([entry(b"\x00\x01a", 1), entry(b"\x01\x01b\x00\x01c", 1)]);
        let error = encoder.refill(&mut Vec::new(), &entries).expect_err("wraps two frames");
        assert!(error.is_ours());
        assert_eq!(encoder.source_written(), 0);
    }

    #[test]
    fn parts_of_a_message_announce_nothing() {
        let mut encoder = Encoder::new(Announcements::Subscriptions, Framing::V2);
        let message = [&[FLAG_MORE, 2, 1, b'a'][..], &[FLAG_MORE, 2, 1, b'b'], &[0, 2, 1, b'c']].concat();
        encoder
            .refill(&mut Vec::new(), &VecDeque::from([entry(&message, 1), entry(&[0, 2, 1, b'd'], 1)]))
            .expect("seals");
        let mut expected = message;
        expected.extend_from_slice(b"\x04\x0b\x09SUBSCRIBEd");
        assert_eq!(encoder.unwritten(), expected);
    }

    #[test]
    fn what_announces_nothing_stays_a_message() {
        let mut encoder = Encoder::new(Announcements::Subscriptions, Framing::V2);
        let frames = [&[FLAG_MORE, 1, 1][..], &[0, 2, 2, 1], &[0, 0]].concat();
        encoder.refill(&mut Vec::new(), &VecDeque::from([entry(&frames, 2)])).expect("seals");
        assert_eq!(encoder.unwritten(), frames);
    }
}
