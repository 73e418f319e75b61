//! What strangers send to a bound port: nothing that a socket could take for a message.

use super::random::Random;

/// Some bytes that are no ZMTP, or stop being it before any message could come.
pub(super) fn bytes(random: &mut Random) -> Vec<u8> {
    // 37/ZMTP, "Version Negotiation": signature, version 3.1, mechanism NULL, no server.
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    greeting.extend_from_slice(b"NULL");
    greeting.resize(64, 0);
    let mut noise: Vec<u8> = (0..random.below(3000)).map(|_| random.next() as u8).collect();
    match random.below(6) {
        0 => [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &noise].concat(),
        1 => greeting[..random.below(64) as usize].to_vec(),
        // A mechanism that nobody has.
        2 => {
            greeting[12..16].copy_from_slice(b"WHAT");
            greeting
        }
        // Flags that are reserved, where a command is due.
        3 => {
            noise.insert(0, 0xf8);
            [greeting, noise].concat()
        }
        // A message, where a command is due.
        4 => [&greeting[..], &[0, 5], b"hello", &noise].concat(),
        // Half a command that announces more than any may have.
        _ => [&greeting[..], &[6, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &noise].concat(),
    }
}
