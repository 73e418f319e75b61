use zlink::fuzzing::{Form, decode};

use crate::input::Input;
use crate::memory::peak_during;

/// Memory that a stream may take however little of it has arrived: the first storage of a large body, the
/// read buffers, and room to work.
const FLOOR: usize = 3 << 20;

/// A connection's incoming bytes: the same messages come out however the stream is cut, and memory grows with
/// what arrived.
pub fn read_half(data: &[u8]) {
    let mut input = Input(data);
    let form = input.choose(&Form::ALL);
    let max_message = input.flag().then(|| input.below(300) as u64);
    let min_buffer = input.choose(&[16, 64, 1000, 8192]);
    let mut choices = Input(input.bytes(48));
    let stream = expand(input.0);

    let pieces = choices.cut(&stream);
    let one_piece = std::iter::once(&stream[..]);
    let (whole, peak) = peak_during(|| decode(form, max_message, min_buffer, one_piece));
    assert!(peak <= FLOOR + 8 * stream.len(), "{peak} bytes of memory for {}", stream.len());
    let cut = decode(form, max_message, min_buffer, pieces.into_iter());
    let bytewise = decode(form, max_message, min_buffer, stream.chunks(1));
    for other in [cut, bytewise] {
        assert_eq!(other.error, whole.error);
        if whole.error.is_none() {
            assert!(other == whole, "the cut changed the messages");
        } else {
            // What arrived in the same read as the error is not always delivered.
            let both = other.parts.len().min(whole.parts.len());
            assert!(other.parts[..both] == whole.parts[..both], "the cut changed the messages");
        }
    }
}

/// Lets few bytes stand for many, so that large bodies come up: `FE n` is `n` KiB of one byte.
fn expand(data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut input = Input(data);
    while !input.is_empty() && stream.len() < 1 << 18 {
        match input.byte() {
            0xFE => stream.resize(stream.len() + 1024 * usize::from(input.byte() & 31), 7),
            byte => stream.push(byte),
        }
    }
    stream
}
