//! Which threads get signals.

use nix::sys::signal::SigSet;

/// Leaves the process's signals to the application's threads, for a thread that the library starts: there they end
/// waits, here they would be lost.
pub(crate) fn block_signals() {
    // Fails for an invalid argument only, and this one is not.
    let _ = SigSet::all().thread_block();
}
