//! How the kernel schedules a thread that the library starts.

use std::io;

use preempt_rt::sched::{Pid, PreemptRtError, Scheduler, SchedulerParams};
use preempt_rt::sched::{get_scheduler, get_scheduler_params, set_scheduler};
use rustix::io::Errno;
use rustix::thread::CpuSet;

/// The highest of the priorities that `nice(2)` gives.
const NICEST: i32 = -20;

/// What a thread asks of the scheduler. The default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheduling {
    /// A policy of `sched(7)`.
    pub(crate) policy: Option<i32>,
    /// 1 to 99 under the real-time policies. Under the others anything above 0 asks for the highest priority that
    /// they have.
    pub(crate) priority: Option<i32>,
    /// The processors to run on; none for all.
    pub(crate) cpus: Vec<usize>,
}

impl Scheduling {
    /// Gives the calling thread what it asks for.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a policy the kernel does not have or that takes more than a priority, a priority outside the
    /// policy's range, and if none of the processors is there; `EPERM` if the process may not have it.
    ///
    /// Source: `zmq_ctx_set`(3), whose words leave open what `nice(2)` value a priority is; that is from libzmq.
    pub(crate) fn apply(&self) -> io::Result<()> {
        if self.policy.is_some() || self.priority.is_some() {
            self.set_policy().map_err(|error| match error {
                PreemptRtError::Errno(number) => io::Error::from_raw_os_error(number),
                _ => Errno::INVAL.into(),
            })?;
        }
        if self.is_nice() {
            rustix::process::setpriority_process(None, NICEST)?;
        }
        self.pin()
    }

    fn set_policy(&self) -> Result<(), PreemptRtError> {
        let this = Pid::current_thread();
        let policy = match self.policy {
            Some(number) => Scheduler::try_from(number)?,
            None => get_scheduler(this)?,
        };
        let priority = match (policy, self.priority) {
            (Scheduler::SCHED_FIFO | Scheduler::SCHED_RR, Some(priority)) => priority,
            (Scheduler::SCHED_FIFO | Scheduler::SCHED_RR, None) => get_scheduler_params(this)?.priority,
            _ => 0,
        };
        set_scheduler(this, policy, SchedulerParams { priority })
    }

    /// Whether the priority is a matter of niceness.
    fn is_nice(&self) -> bool {
        let real_time =
            matches!(get_scheduler(Pid::current_thread()), Ok(Scheduler::SCHED_FIFO | Scheduler::SCHED_RR));
        self.priority.is_some_and(|priority| priority > 0) && !real_time
    }

    fn pin(&self) -> io::Result<()> {
        if self.cpus.is_empty() {
            return Ok(());
        }
        let mut set = CpuSet::new();
        for &cpu in self.cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU) {
            set.set(cpu);
        }
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of a thread that was scheduled so: policy, priority, niceness.
    fn applied(scheduling: Scheduling) -> io::Result<(i32, i32, i32)> {
        let told = move || {
            scheduling.apply()?;
            let this = Pid::current_thread();
            let policy = get_scheduler(this).expect("the thread has a policy") as i32;
            let priority = get_scheduler_params(this).expect("the thread has a priority").priority;
            Ok((policy, priority, rustix::process::getpriority_process(None)?))
        };
        std::thread::spawn(told).join().expect("nothing panics here")
    }

    /// The niceness that this process was started with.
    fn usual() -> i32 {
        rustix::process::getpriority_process(None).expect("the process has a niceness")
    }

    fn errno(result: io::Result<(i32, i32, i32)>) -> Option<i32> {
        result.err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn who_asks_for_nothing_is_left_alone() {
        assert_eq!(applied(Scheduling::default()).unwrap(), (Scheduler::SCHED_NORMAL as i32, 0, usual()));
    }

    #[test]
    fn policies_that_need_no_privilege_are_applied() {
        for policy in [Scheduler::SCHED_NORMAL, Scheduler::SCHED_BATCH, Scheduler::SCHED_IDLE] {
            let scheduling = Scheduling { policy: Some(policy as i32), ..Scheduling::default() };
            assert_eq!(applied(scheduling).unwrap(), (policy as i32, 0, usual()));
        }
    }

    #[test]
    fn a_priority_is_applied_or_refused_for_want_of_privilege() {
        let fifo = Scheduler::SCHED_FIFO as i32;
        for (policy, priority, expected) in [(Some(fifo), 3, (fifo, 3, usual())), (None, 1, (0, 0, NICEST))] {
            let scheduling = Scheduling { policy, priority: Some(priority), ..Scheduling::default() };
            match applied(scheduling) {
                Ok(told) => assert_eq!(told, expected),
                Err(error) => {
                    let number = error.raw_os_error().unwrap_or_default();
                    let refused = [Errno::PERM.raw_os_error(), Errno::ACCESS.raw_os_error()];
                    assert!(refused.contains(&number), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_the_kernel_does_not_have_is_refused() {
        let policy =
            |policy, priority| Scheduling { policy: Some(policy), priority, ..Scheduling::default() };
        let fifo = Scheduler::SCHED_FIFO as i32;
        for scheduling in [
            policy(1000, None),
            policy(Scheduler::SCHED_DEADLINE as i32, None),
            policy(fifo, None),
            policy(fifo, Some(100)),
            Scheduling { cpus: vec![CpuSet::MAX_CPU - 1], ..Scheduling::default() },
            Scheduling { cpus: vec![CpuSet::MAX_CPU], ..Scheduling::default() },
        ] {
            let described = format!("{scheduling:?}");
            assert_eq!(errno(applied(scheduling)), Some(Errno::INVAL.raw_os_error()), "{described}");
        }
    }
}
