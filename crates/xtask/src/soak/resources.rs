//! What a process takes of memory, descriptors and threads, and whether that stays as it is.
//!
//! Memory is what is resident and, apart from that, what is allocated: the first shows what a library maps by itself too.
//! Samples are taken when the scene is quiet: nothing is on its way, and all queues are empty. The least of the first
//! third of them is compared with the least of the last third: what an allocator keeps differs from one moment to the
//! next, but what leaks is never given back, and lifts the least too. Descriptors and threads must not grow at all.

use std::fmt;
use std::fs;
use std::io;

/// Samples below this number tell nothing.
const FEWEST: usize = 6;

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Resident memory in KiB.
    pub(super) memory: u64,
    /// What it has allocated and not freed, in KiB, but for what libzmq has.
    pub(super) allocated: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

impl Sample {
    /// Of a process that lives, and says that it has allocated so many bytes.
    pub(super) fn of(process: u32, allocated: u64) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            value.ok_or_else(|| io::Error::other(format!("no {name} in the status of {process}")))
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64;
        Ok(Sample {
            memory: field("VmRSS:")?,
            allocated: allocated / 1024,
            descriptors,
            threads: field("Threads:")?,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { memory, allocated, descriptors, threads } = self;
        write!(f, "{memory} KiB ({allocated} allocated), {descriptors} descriptors, {threads} threads")
    }
}

/// The least of each.
fn least(samples: &[Sample]) -> Option<Sample> {
    samples.iter().copied().reduce(|a, b| Sample {
        memory: a.memory.min(b.memory),
        allocated: a.allocated.min(b.allocated),
        descriptors: a.descriptors.min(b.descriptors),
        threads: a.threads.min(b.threads),
    })
}

/// The samples of one process, those of its first time left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(Vec<Sample>);

impl Series {
    pub(super) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// The least of the first third and of the last, if there are enough to tell.
    pub(super) fn ends(&self) -> Option<[Sample; 2]> {
        if self.0.len() < FEWEST {
            return None;
        }
        let third = self.0.len() / 3;
        Some([least(&self.0[..third])?, least(&self.0[self.0.len() - third..])?])
    }

    /// What has grown, by more than `slack` KiB in the case of memory.
    pub(super) fn growth(&self, slack: u64) -> Option<String> {
        let [first, last] = self.ends()?;
        let mut grown = Vec::new();
        if last.memory > first.memory + slack {
            grown.push(format!("memory from {} to {} KiB", first.memory, last.memory));
        }
        if last.allocated > first.allocated + slack {
            grown.push(format!("allocated from {} to {} KiB", first.allocated, last.allocated));
        }
        if last.descriptors > first.descriptors {
            grown.push(format!("descriptors from {} to {}", first.descriptors, last.descriptors));
        }
        if last.threads > first.threads {
            grown.push(format!("threads from {} to {}", first.threads, last.threads));
        }
        (!grown.is_empty()).then(|| grown.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: u64 = 500;

    fn series(memory: impl IntoIterator<Item = u64>) -> Series {
        let sample = |memory| Sample { memory, allocated: memory / 2, descriptors: 9, threads: 3 };
        Series(memory.into_iter().map(sample).collect())
    }

    #[test]
    fn what_goes_up_and_down_is_flat() {
        let noise = (0..100).map(|i| 6000 + i * 7919 % 3000);
        assert_eq!(series(noise).growth(SLACK), None);
        assert_eq!(series([6000; 5]).growth(SLACK), None);
    }

    #[test]
    fn a_leak_under_noise_is_found() {
        let leak = (0..100).map(|i| 6000 + i * 7919 % 3000 + 10 * i);
        let found = series(leak).growth(SLACK).expect("it grows");
        assert!(found.starts_with("memory from"), "{found}");
    }

    #[test]
    fn one_descriptor_or_thread_too_many_is_found() {
        let mut series = series([6000; 30]);
        series.0[25].descriptors = 10;
        assert_eq!(series.growth(SLACK), None);
        series.0[20..].iter_mut().for_each(|sample| sample.descriptors = 10);
        series.0[20..].iter_mut().for_each(|sample| sample.threads = 4);
        assert_eq!(series.growth(SLACK).as_deref(), Some("descriptors from 9 to 10, threads from 3 to 4"));
    }

    #[test]
    fn this_process_takes_something() {
        let sample = Sample::of(std::process::id(), 0).expect("it lives");
        assert!(sample.memory > 100 && sample.descriptors > 2 && sample.threads > 0, "{sample:?}");
    }
}
