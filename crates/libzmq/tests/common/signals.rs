//! Threads that wait, and signals to them.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Signals handled so far.
pub static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Has SIGUSR1 counted, by a handler with these flags of `sigaction(2)`.
pub fn handle(flags: libc::c_int) {
    // SAFETY: all zeros is an action without a mask; the handler does nothing but an atomic addition.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

/// Whether the thread sleeps in the kernel, as one does that is blocked in a call.
fn is_asleep(thread: libc::pid_t) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{thread}/stat")) else { return false };
    // The state follows the name, which is in parentheses and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// A thread as signals are sent to it.
#[derive(Clone, Copy)]
pub struct Target {
    id: libc::pid_t,
    handle: libc::pthread_t,
}

impl Target {
    pub fn this_thread() -> Self {
        // SAFETY: neither has a precondition.
        unsafe { Target { id: libc::gettid(), handle: libc::pthread_self() } }
    }

    pub fn wait_until_asleep(&self) {
        while !is_asleep(self.id) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn signal(&self) {
        // SAFETY: the thread has not been joined, as it is one of a scope that is still open, or this one.
        assert_eq!(unsafe { libc::pthread_kill(self.handle, libc::SIGUSR1) }, 0);
    }
}

/// Runs `wait` in a thread and, whenever it is seen asleep, sends it a signal, until it returns. A signal that comes
/// when the thread is asleep elsewhere than in the call under test ends nothing, hence the repetition.
pub fn interrupt<T: Send>(wait: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            tell.send(Target::this_thread()).expect("somebody listens");
            let result = wait();
            done.store(true, Ordering::Release);
            result
        });
        let target = told.recv().expect("the thread says who it is");
        while !done.load(Ordering::Acquire) && !waiting.is_finished() {
            if is_asleep(target.id) {
                target.signal();
            }
            thread::sleep(Duration::from_millis(1));
        }
        waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
