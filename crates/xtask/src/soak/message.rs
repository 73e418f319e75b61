//! Messages that tell all about themselves: whose they are, which, and what each of their bytes must be.
//!
//! The first part begins with a head of [`HEAD`] bytes. How many parts there are, how long each is and what it holds
//! follows from the head alone, so that a message that was cut, changed or put together from two is recognised without
//! anything else.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use super::random::{Random, mix};

/// Bytes of the head: topic, flags, mark, stream, number, and a check sum of these.
pub(super) const HEAD: usize = 32;
/// Bytes of the longest part behind the head.
const LONGEST: usize = 1 << 20;
/// Parts begin at so many places of the bytes that all are cut from.
const PLACES: usize = 1 << 16;
const MOST_PARTS: u64 = 6;

/// How long the messages of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// At most 64 bytes beside the head, in one part.
    Small,
    /// 0 bytes to 1 MiB, most of them short, in up to six parts.
    Mixed,
    /// As `Mixed`, with more above 16 KiB.
    Large,
}

/// The sender of a stream of numbered messages: a socket, or its way to one peer or of one topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Stream(pub(super) u64);

impl Stream {
    /// The stream of the socket's `epoch`th life in a lane of a process.
    pub(super) fn new(incarnation: u32, lane: usize, branch: u8, epoch: u32) -> Self {
        let (incarnation, epoch) = (u64::from(incarnation) & 0xff_ffff, u64::from(epoch) & 0xff_ffff);
        Stream(incarnation << 40 | (lane as u64 & 0xff) << 32 | u64::from(branch) << 24 | epoch)
    }

    /// The peer or topic that the stream is for.
    pub(super) fn branch(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// What is the same for all streams of a lane in a process.
    pub(super) fn lane(self) -> u64 {
        self.0 >> 32
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stream(bits) = *self;
        let (lane, branch, epoch) = (bits >> 32 & 0xff, bits >> 24 & 0xff, bits & 0xff_ffff);
        write!(f, "process {} lane {lane} branch {branch} life {epoch}", bits >> 40)
    }
}

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What subscribers choose by, in the first two bytes.
    pub(super) topic: u8,
    pub(super) sizes: Sizes,
    /// The stream ends with this one.
    pub(super) last: bool,
    /// Answers the director's question of this number: whether messages arrive. 0 for none.
    pub(super) mark: u32,
    pub(super) stream: Stream,
    pub(super) number: u64,
}

/// What is wrong with a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The first part has no head, or one whose check sum is wrong.
    NoHead { len: usize },
    /// It has parts too few or too many: cut, or put together.
    Parts { head: Head, expected: usize, got: usize },
    /// A part has another length.
    Length { head: Head, part: usize, expected: usize, got: usize },
    /// A part holds other bytes, from this one on.
    Bytes { head: Head, part: usize, at: usize },
}

/// What all parts are cut from.
fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut random = Random::new(0);
        (0..(LONGEST + PLACES) / 8).flat_map(|_| random.next().to_ne_bytes()).collect()
    })
}

impl Head {
    fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..2].copy_from_slice(&topic(self.topic));
        bytes[2] = self.sizes as u8;
        bytes[3] = u8::from(self.last);
        bytes[4..8].copy_from_slice(&self.mark.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.stream.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        let sum = check_sum(&bytes[..24]);
        bytes[24..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(part: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD] = part.first_chunk()?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if bytes[0] != b't' || word(24) != check_sum(&bytes[..24]) {
            return None;
        }
        let sizes =
            [Sizes::Small, Sizes::Mixed, Sizes::Large].into_iter().find(|it| *it as u8 == bytes[2])?;
        Some(Head {
            topic: bytes[1] - b'0',
            sizes,
            last: bytes[3] != 0,
            mark: (word(0) >> 32) as u32,
            stream: Stream(word(8)),
            number: word(16),
        })
    }

    /// The generator of all that follows from the head.
    fn random(&self) -> Random {
        Random::new(self.stream.0 ^ mix(self.number))
    }

    /// What follows the head in the first part, and what the other parts hold.
    fn bodies(&self) -> impl Iterator<Item = &'static [u8]> {
        let mut random = self.random();
        let several = self.sizes != Sizes::Small && random.once_in(4);
        let count = if several { 1 + random.below(MOST_PARTS) } else { 1 };
        let sizes = self.sizes;
        (0..count).map(move |_| {
            let place = random.below(PLACES as u64) as usize;
            let len = length(sizes, &mut random);
            &table()[place..place + len]
        })
    }

    /// The message, part by part.
    pub(super) fn parts(&self) -> Vec<Cow<'static, [u8]>> {
        let mut parts: Vec<Cow<'static, [u8]>> = self.bodies().map(Cow::Borrowed).collect();
        parts[0] = Cow::Owned([&self.encode()[..], &parts[0]].concat());
        parts
    }

    /// Reads the head of a message and compares the message with what it must be.
    pub(super) fn check<P: Deref<Target = [u8]>>(parts: &[P]) -> Result<Head, Damage> {
        let first = parts.first().map_or(&[][..], |part| part);
        let head = Head::decode(first).ok_or(Damage::NoHead { len: first.len() })?;
        let expected = head.bodies().count();
        if parts.len() != expected {
            return Err(Damage::Parts { head, expected, got: parts.len() });
        }
        for (part, body) in head.bodies().enumerate() {
            let skipped = if part == 0 { HEAD } else { 0 };
            let got = &parts[part][skipped..];
            if got.len() != body.len() {
                return Err(Damage::Length { head, part, expected: body.len(), got: got.len() });
            }
            if got != body {
                let at = got.iter().zip(body).take_while(|(got, expected)| got == expected).count();
                return Err(Damage::Bytes { head, part, at });
            }
        }
        Ok(head)
    }
}

/// What messages of a topic begin with.
pub(super) fn topic(number: u8) -> [u8; 2] {
    [b't', b'0' + number]
}

fn check_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, &byte| mix(sum ^ u64::from(byte)))
}

/// A length up to `LONGEST`, the sizes at which implementations change their ways among them.
fn length(sizes: Sizes, random: &mut Random) -> usize {
    let most = match (sizes, random.below(1000)) {
        (Sizes::Small, _) => 64,
        (_, 0..40) => return 0,
        (Sizes::Mixed, 40..700) => 100,
        (Sizes::Mixed, 700..900) => 2_000,
        (Sizes::Mixed, 900..980) => 20_000,
        (Sizes::Mixed, 980..997) => 200_000,
        (Sizes::Large, 40..300) => 2_000,
        (Sizes::Large, 300..900) => 50_000,
        (Sizes::Large, 900..990) => 300_000,
        _ => LONGEST as u64,
    };
    random.below(most + 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64) -> Head {
        let stream = Stream::new(3, 1, 0, 7);
        Head { topic: 2, sizes: Sizes::Mixed, last: false, mark: 0, stream, number }
    }

    fn owned(head: &Head) -> Vec<Vec<u8>> {
        head.parts().into_iter().map(Cow::into_owned).collect()
    }

    /// The first with several parts, of which the second is not empty.
    fn with_parts() -> (Head, Vec<Vec<u8>>) {
        let all = (0..).map(|number| (head(number), owned(&head(number))));
        all.into_iter().find(|(_, parts)| parts.len() > 2 && parts[1].len() > 1).expect("there is one")
    }

    #[test]
    fn whole_messages_of_every_size_are_whole() {
        for sizes in [Sizes::Small, Sizes::Mixed, Sizes::Large] {
            let (mut shortest, mut longest, mut most) = (usize::MAX, 0, 0);
            for number in 0..3000 {
                let head = Head { sizes, last: number == 8, mark: number as u32, ..head(number) };
                let parts = head.parts();
                assert_eq!(Head::check(&parts), Ok(head));
                let len = parts.iter().map(|part| part.len()).sum::<usize>() - HEAD;
                (shortest, longest, most) = (shortest.min(len), longest.max(len), most.max(parts.len()));
            }
            assert_eq!(shortest, 0);
            match sizes {
                Sizes::Small => assert_eq!((longest, most), (64, 1)),
                _ => assert!(longest > LONGEST / 2 && most == MOST_PARTS as usize),
            }
        }
    }

    #[test]
    fn a_changed_byte_is_found_wherever_it_is() {
        let (head, parts) = with_parts();
        for part in 0..parts.len() {
            for at in [0, parts[part].len() / 2, parts[part].len() - 1] {
                let mut changed = parts.clone();
                changed[part][at] ^= 4;
                let found = Head::check(&changed).expect_err("a byte was changed");
                match found {
                    Damage::NoHead { .. } => assert!(part == 0 && at < HEAD),
                    other => {
                        let skipped = if part == 0 { HEAD } else { 0 };
                        assert_eq!(other, Damage::Bytes { head, part, at: at - skipped });
                    }
                }
            }
        }
    }

    #[test]
    fn a_cut_message_is_found_wherever_it_is_cut() {
        let (head, parts) = with_parts();
        for part in 0..parts.len() {
            let mut shorter = parts.clone();
            shorter[part].pop();
            assert!(Head::check(&shorter).is_err());
            let mut longer = parts.clone();
            longer[part].push(0);
            assert!(Head::check(&longer).is_err());
            let got = parts.len() - 1;
            let mut fewer = parts.clone();
            fewer.remove(part);
            let found = Head::check(&fewer);
            assert!(
                part == 0 || found == Err(Damage::Parts { head, expected: parts.len(), got }),
                "{found:?}"
            );
            assert!(found.is_err());
        }
        assert_eq!(Head::check::<Vec<u8>>(&[]), Err(Damage::NoHead { len: 0 }));
    }

    #[test]
    fn messages_whose_parts_were_mixed_are_found() {
        let (head, parts) = with_parts();
        let mut swapped = parts.clone();
        swapped.swap(1, 2);
        assert!(Head::check(&swapped).is_err());
        let twin = (head.number + 1..).map(self::head).find(|it| it.parts().len() == parts.len());
        let mut foreign = parts.clone();
        foreign[1] = twin.expect("there is one").parts()[1].to_vec();
        assert!(Head::check(&foreign).is_err());
        assert!(Head::check(&[&parts[..], &parts[..]].concat()).is_err());
    }
}
