//! The machine and the process: where a run takes place and what it used.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, clock_nanosleep_absolute, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

/// CPU time, context switches and memory of this process, all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    cpu: Duration,
    switches: u64,
    /// The resident set (`VmRSS`).
    pub(crate) rss_kib: u64,
}

impl Usage {
    pub(crate) fn now() -> io::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(io::Error::from)?;
        let time = |value: nix::sys::time::TimeVal| {
            Duration::from_micros(
                u64::try_from(value.tv_sec()).unwrap_or(0) * 1_000_000
                    + u64::try_from(value.tv_usec()).unwrap_or(0),
            )
        };
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Self {
            cpu: time(usage.user_time()) + time(usage.system_time()),
            switches: count(usage.voluntary_context_switches()) + count(usage.involuntary_context_switches()),
            rss_kib: status_kib("VmRSS:")?,
        })
    }

    /// Whichever of two was taken first.
    pub(crate) fn earlier(self, other: Self) -> Self {
        if other.cpu < self.cpu { other } else { self }
    }

    /// CPU nanoseconds and context switches since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> (u64, u64) {
        (
            self.cpu.saturating_sub(earlier.cpu).as_nanos() as u64,
            self.switches.saturating_sub(earlier.switches),
        )
    }
}

/// The largest resident set this process has had, in KiB (`VmHWM`).
pub(crate) fn peak_rss_kib() -> io::Result<u64> {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    parse_status_kib(&status, name)
        .ok_or_else(|| io::Error::other(format!("/proc/self/status has no {name}")))
}

fn parse_status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Nanoseconds of the clock that all processes of this machine share.
pub(crate) fn monotonic_ns() -> io::Result<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).map_err(io::Error::other)?;
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).map_err(io::Error::other)?)
}

/// Sleeps until [`monotonic_ns`] is at least `time`, and returns what it is then.
pub(crate) fn sleep_until_ns(time: u64) -> io::Result<u64> {
    let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
    let wanted = Timespec {
        tv_sec: i64::try_from(seconds).map_err(io::Error::other)?,
        tv_nsec: i64::try_from(nanos).map_err(io::Error::other)?,
    };
    loop {
        match clock_nanosleep_absolute(rustix::thread::ClockId::Monotonic, &wanted) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return monotonic_ns(),
        }
    }
}

/// Has this thread's sleeps end when they should, not up to 50 µs later.
pub(crate) fn sharpen_timer() -> io::Result<()> {
    Ok(rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?)
}

/// Allows this process as many descriptors as it may have.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// The CPUs this process may run on, in order.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps the calling thread, and the threads it will start, on one CPU.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// What a report says about where and when it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) load: String,
    /// The variables that zlink listens to, as they were set for all engines alike.
    #[serde(default)]
    pub(crate) variables: Vec<(String, String)>,
}

impl Environment {
    pub(crate) fn collect(workspace: &Path) -> Self {
        let uname = rustix::system::uname();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            date: format_utc(seconds),
            commit: commit(workspace),
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| parse_cpu_model(&text))
                .unwrap_or_else(|| uname.machine().to_string_lossy().into_owned()),
            cpus: allowed_cpus().map_or(0, |cpus| cpus.len()),
            load: fs::read_to_string("/proc/loadavg").map_or_else(
                |_| "unknown".into(),
                |text| text.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
            ),
            variables: std::env::vars().filter(|(name, _)| is_heard(name)).collect(),
        }
    }
}

/// Whether zlink's engine listens to the variable.
fn is_heard(name: &str) -> bool {
    name == "ZLINK_DIRECT_IO" || name.starts_with("ZLINK_ASIO_")
}

fn parse_cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned())
}

/// The commit that is checked out, with a mark if tracked files differ from it.
fn commit(workspace: &Path) -> String {
    let git = |arguments: &[&str]| {
        Command::new("git")
            .arg("-C")
            .arg(workspace)
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => hash,
        _ => format!("{hash} with local changes"),
    }
}

/// Seconds since 1970 as `2026-01-31 23:59:59 UTC`.
fn format_utc(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02}:{:02} UTC", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_year_ends() {
        assert_eq!(format_utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(format_utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(format_utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(format_utc(1_709_251_200), "2024-03-01 00:00:00 UTC");
        assert_eq!(format_utc(1_767_225_599), "2025-12-31 23:59:59 UTC");
    }

    #[test]
    fn the_peak_resident_set_is_read_from_the_status_file() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t    5432 kB\n";
        assert_eq!(parse_status_kib(status, "VmHWM:"), Some(5432));
        assert_eq!(parse_status_kib(status, "VmRSS:"), None);
        assert!(peak_rss_kib().expect("Linux has the status file") > 0);
    }

    #[test]
    fn a_sleep_does_not_end_before_its_time() {
        let until = monotonic_ns().expect("there is a clock") + 100_000;
        assert!(sleep_until_ns(until).expect("there is a clock") >= until);
    }

    #[test]
    fn the_cpu_model_is_the_first_one_listed() {
        let text = "processor\t: 0\nmodel name\t: A Chip @ 3 GHz\n\nmodel name\t: Another\n";
        assert_eq!(parse_cpu_model(text).as_deref(), Some("A Chip @ 3 GHz"));
        assert_eq!(parse_cpu_model("processor : 0\n"), None);
    }

    #[test]
    fn usage_grows_when_the_process_works() {
        let before = Usage::now().expect("getrusage works");
        let mut state = 1_u64;
        while Usage::now().expect("getrusage works").cpu == before.cpu {
            state = std::hint::black_box(state.wrapping_mul(6364136223846793005) + 1);
        }
        assert!(Usage::now().expect("getrusage works").since(before).0 > 0, "{state}");
    }
}
