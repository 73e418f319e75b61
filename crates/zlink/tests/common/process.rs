//! What the kernel tells about this process.

use std::fs;
use std::time::Duration;

use super::wait_until;

/// What must not grow with the number of connections that come and go.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    pub descriptors: usize,
    /// Resident memory in KiB.
    pub memory: usize,
}

impl Resources {
    pub fn now() -> Self {
        let descriptors = fs::read_dir("/proc/self/fd").expect("/proc").count();
        Resources { descriptors, memory: status("VmRSS:") }
    }
}

/// The most resident memory this process ever had, in KiB.
pub fn peak_memory() -> usize {
    status("VmHWM:")
}

fn status(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
    line.split_whitespace().nth(1).expect("a value").parse().expect("a number")
}

/// The CPU time this process has used, in user and kernel mode.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Waits until the thread sleeps in the kernel, as one does that is blocked in a call.
pub fn wait_until_asleep(thread: rustix::thread::Pid) {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    wait_until("the thread sleeps", || {
        let stat = fs::read_to_string(&path).expect("a thread that lives");
        // The state follows the name, which is in parentheses and may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    });
}
