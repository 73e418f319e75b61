use zlink::fuzzing::{Form, decode, encode_over_a_break};

use crate::input::Input;

/// Messages encoded for a connection that breaks, and again for the next: each arrives once, whole, on the one or on
/// the other.
pub fn encoder(data: &[u8]) {
    let mut input = Input(data);
    let form = input.choose(&Form::ALL);
    let per_entry = 1 + input.below(5);
    let cut = input.below(1 << 16);
    let mut messages = Vec::new();
    while !input.is_empty() && messages.len() < 200 {
        let parts = 1 + usize::from(input.byte() % 4);
        messages.push((0..parts).map(|_| input.bytes(300)).collect::<Vec<_>>());
    }
    let expected: Vec<_> = messages
        .iter()
        .flat_map(|parts| parts.iter().enumerate().map(|(i, part)| (part.to_vec(), i + 1 < parts.len())))
        .collect();
    let mut got = Vec::new();
    for sent in encode_over_a_break(form, &messages, per_entry, cut) {
        let decoded = decode(form, None, 8192, std::iter::once(&sent[..]));
        assert_eq!(decoded.error, None);
        got.extend(decoded.parts);
    }
    assert!(got == expected, "{} parts of {}", got.len(), expected.len());
}
