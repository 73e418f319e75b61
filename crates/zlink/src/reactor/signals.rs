//! Which threads get signals, and which signals end waits.

use std::fs;

use nix::sys::signal::{SigSet, Signal};

/// Leaves the process's signals to the application's threads, for a thread that the library starts: there they end
/// waits, here they would be lost.
pub(crate) fn block_signals() {
    // Fails for an invalid argument only, and this one is not.
    let _ = SigSet::all().thread_block();
}

/// Signals of what a thread does itself, and so not while it waits. Programs in Rust handle two of them.
const FAULTS: [Signal; 5] =
    [Signal::SIGILL, Signal::SIGTRAP, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGSEGV];
/// The C library's own, 32 and 33: it changes the user of a thread by them, or cancels it.
const RESERVED: u64 = 0b11 << 31;

/// Whether a handler may have run when a wait of this thread was interrupted.
///
/// `epoll_wait` is also interrupted when the process is stopped and goes on (`signal(7)`), or a debugger takes hold of it,
/// and does not say which it was; the `poll` that libzmq waits with goes on by itself then. Where the program handles
/// no signals, it was that.
#[cold]
pub(crate) fn may_have_run_a_handler() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
    };
    let others = FAULTS.iter().fold(RESERVED, |set, signal| set | 1 << (*signal as i32 - 1));
    match (field("SigCgt:"), field("SigBlk:")) {
        (Some(caught), Some(blocked)) => caught & !blocked & !others != 0,
        // It cannot be told.
        _ => true,
    }
}
