use zlink::{Context, SocketType};

use crate::input::Input;

/// More steps than this make an input slow, not better.
const MAX_STEPS: usize = 64;
/// Longer than any option's value has to be.
const MAX_VALUE: usize = 600;

/// Sets and reads options of a socket, and of a context that has none, with any number, value and length: each succeeds or
/// fails, and nothing is written beyond the length that is told.
pub fn options(data: &[u8]) {
    let mut input = Input(data);
    let (contexts, sockets) = (Context::new(), Context::new());
    let kind = SocketType::from_i32(i32::from(input.byte() % 21)).expect("there are 21 socket types");
    let Ok(socket) = sockets.socket(kind) else { return };
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        let (of_context, get, known) = (input.flag(), input.flag(), input.flag());
        let number = if known { i32::from(input.byte()) } else { input.below(1 << 16) as i32 - 1000 };
        if get {
            let mut out = vec![0xEE; input.below(MAX_VALUE) + 16];
            let room = out.len() - 16;
            let length = match of_context {
                true => contexts.option(number, &mut out[..room]),
                false => socket.option(number, &mut out[..room]),
            };
            let length = length.unwrap_or(0);
            assert!(length <= room, "option {number}: {length} bytes in {room}");
            continue;
        }
        let value = input.bytes(MAX_VALUE);
        let _ = match of_context {
            true => contexts.set_option(number, value),
            false => socket.set_option(number, value),
        };
    }
}
