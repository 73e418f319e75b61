use zlink::{Context, SocketType};

use crate::input::Input;

/// More steps than this make an input slow, not better.
const MAX_STEPS: usize = 64;
/// Longer than any option's value has to be.
const MAX_VALUE: usize = 600;

/// Sets and reads options of a socket, and of a context that has none, with any number, value and length: each succeeds or
/// fails, and behind a value, as long as it is told to be, is what was there or zeros.
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
            let mut out = vec![0xEE; input.below(MAX_VALUE)];
            let length = match of_context {
                true => contexts.option(number, &mut out),
                false => socket.option(number, &mut out),
            };
            let beyond = out.get(length.unwrap_or(0)..).expect("no more than there is room for");
            let clean = beyond.iter().all(|byte| matches!(byte, 0 | 0xEE));
            assert!(clean, "option {number}: its value is longer than it tells");
            continue;
        }
        let value = input.bytes(MAX_VALUE);
        let _ = match of_context {
            true => contexts.set_option(number, value),
            false => socket.set_option(number, value),
        };
    }
}
