//! Options of a context. They hold for sockets and I/O threads made afterwards.

use std::collections::BTreeSet;

use super::OptionError;
use crate::reactor::Scheduling;

/// Numbers of the context options, under their C names without the prefix `ZMQ_`.
///
/// 3 is two options: the highest possible `ZMQ_MAX_SOCKETS` when read, the I/O threads' priority when set.
pub(crate) mod id {
    pub(crate) const IO_THREADS: i32 = 1;
    pub(crate) const MAX_SOCKETS: i32 = 2;
    pub(crate) const SOCKET_LIMIT: i32 = 3;
    pub(crate) const THREAD_PRIORITY: i32 = 3;
    pub(crate) const THREAD_SCHED_POLICY: i32 = 4;
    pub(crate) const MAX_MSGSZ: i32 = 5;
    pub(crate) const MSG_T_SIZE: i32 = 6;
    pub(crate) const THREAD_AFFINITY_CPU_ADD: i32 = 7;
    pub(crate) const THREAD_AFFINITY_CPU_REMOVE: i32 = 8;
    pub(crate) const THREAD_NAME_PREFIX: i32 = 9;
    pub(crate) const ZERO_COPY_RECV: i32 = 10;
    pub(crate) const IPV6: i32 = 42;
    pub(crate) const BLOCKY: i32 = 70;
}

/// Size of `zmq_msg_t` at the C interface, in bytes.
const MSG_T_SIZE: i32 = 64;
/// The most `ZMQ_MAX_SOCKETS` is said to allow.
const SOCKET_LIMIT: i32 = 65_535;
/// How an unset scheduling policy reads.
const POLICY_UNSET: i32 = -1;
/// The kernel keeps 16 bytes of a thread's name.
const PREFIX_MAX: usize = 16;

/// The options of one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextOptions {
    /// I/O threads to start, 0 or more. Default 1. A context with none serves `inproc` only.
    pub(crate) io_threads: i32,
    /// Sockets that may be open at a time, 1 or more. Default 1023.
    pub(crate) max_sockets: i32,
    /// The largest message, in bytes, 0 or more. Default `i32::MAX`.
    pub(crate) max_message_size: i32,
    /// Whether sockets start with infinite linger (default) or none.
    pub(crate) blocky: bool,
    /// Whether sockets start with IPv6 on. Default off.
    pub(crate) ipv6: bool,
    /// Whether a received body may stay in the buffer it was read into (default) or is copied out of it.
    pub(crate) zero_copy_receive: bool,
    /// What the names of I/O threads begin with, at most 16 bytes. Default nothing.
    pub(crate) thread_name_prefix: Vec<u8>,
    /// Processors that I/O threads may run on; empty (default) for all.
    pub(crate) thread_affinity: BTreeSet<i32>,
    /// Scheduling policy of I/O threads, 0 or more. Default that of the thread that makes the first socket.
    pub(crate) thread_policy: Option<i32>,
    /// Priority of I/O threads, 0 or more: under a real-time policy its own, under others whether (above 0) they get the
    /// highest there is. Default none.
    pub(crate) thread_priority: Option<i32>,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            io_threads: 1,
            max_sockets: 1023,
            max_message_size: i32::MAX,
            blocky: true,
            ipv6: false,
            zero_copy_receive: true,
            thread_name_prefix: Vec::new(),
            thread_affinity: BTreeSet::new(),
            thread_policy: None,
            thread_priority: None,
        }
    }
}

impl ContextOptions {
    /// What I/O threads ask of the scheduler.
    pub(crate) fn scheduling(&self) -> Scheduling {
        Scheduling {
            policy: self.thread_policy,
            priority: self.thread_priority,
            cpus: self.thread_affinity.iter().filter_map(|&cpu| usize::try_from(cpu).ok()).collect(),
        }
    }

    /// The name of an I/O thread: libzmq's, which tools may look for.
    pub(crate) fn io_thread_name(&self, number: i32) -> String {
        let prefix = &self.thread_name_prefix;
        let separator = if prefix.is_empty() { "" } else { "/" };
        // C programs count the closing zero as one of the bytes.
        let prefix = prefix.split(|&byte| byte == 0).next().unwrap_or_default();
        format!("{}{separator}ZMQbg/IO/{number}", String::from_utf8_lossy(prefix))
    }
}

/// Checks and stores `value`, as `zmq_ctx_set_ext` takes it.
///
/// # Errors
///
/// Any [`OptionError`] but those of reading. Whether I/O threads may be scheduled as asked is seen when they start.
pub(crate) fn set(options: &mut ContextOptions, id: i32, value: &[u8]) -> Result<(), OptionError> {
    match id {
        id::IO_THREADS => options.io_threads = number("ZMQ_IO_THREADS", value, 0)?,
        id::MAX_SOCKETS => options.max_sockets = number("ZMQ_MAX_SOCKETS", value, 1)?,
        id::MAX_MSGSZ => options.max_message_size = number("ZMQ_MAX_MSGSZ", value, 0)?,
        id::IPV6 => options.ipv6 = number("ZMQ_IPV6", value, 0)? != 0,
        id::BLOCKY => options.blocky = number("ZMQ_BLOCKY", value, 0)? != 0,
        id::ZERO_COPY_RECV => options.zero_copy_receive = number("ZMQ_ZERO_COPY_RECV", value, 0)? != 0,
        id::THREAD_AFFINITY_CPU_ADD => {
            options.thread_affinity.insert(number("ZMQ_THREAD_AFFINITY_CPU_ADD", value, 0)?);
        }
        id::THREAD_AFFINITY_CPU_REMOVE => {
            let name = "ZMQ_THREAD_AFFINITY_CPU_REMOVE";
            if !options.thread_affinity.remove(&number(name, value, 0)?) {
                return Err(OptionError::Malformed { name, reason: "the processor has not been added" });
            }
        }
        id::THREAD_NAME_PREFIX => {
            let name = "ZMQ_THREAD_NAME_PREFIX";
            if let Ok(int) = value.try_into() {
                // zmq_ctx_set has no other way to give a name; four letters cannot be told from a number.
                options.thread_name_prefix = i32::from_ne_bytes(int).to_string().into_bytes();
            } else if (1..=PREFIX_MAX).contains(&value.len()) {
                options.thread_name_prefix = value.to_vec();
            } else {
                return Err(OptionError::WrongSize { name, min: 1, max: PREFIX_MAX, actual: value.len() });
            }
        }
        id::THREAD_PRIORITY => options.thread_priority = Some(number("ZMQ_THREAD_PRIORITY", value, 0)?),
        id::THREAD_SCHED_POLICY => {
            options.thread_policy = Some(number("ZMQ_THREAD_SCHED_POLICY", value, 0)?);
        }
        id::MSG_T_SIZE => return Err(OptionError::ReadOnly { name: "ZMQ_MSG_T_SIZE" }),
        _ => return Err(OptionError::Unknown { id }),
    }
    Ok(())
}

/// Writes the value of option `id` to `out` and says how many bytes it took, as `zmq_ctx_get_ext` does.
///
/// # Errors
///
/// Any [`OptionError`] but those of storing.
pub(crate) fn get(options: &ContextOptions, id: i32, out: &mut [u8]) -> Result<usize, OptionError> {
    if id == id::THREAD_NAME_PREFIX && out.len() != size_of::<i32>() {
        let prefix = &options.thread_name_prefix;
        let (needed, actual) = (prefix.len(), out.len());
        let place = out.get_mut(..needed).ok_or(OptionError::BufferTooSmall {
            name: "ZMQ_THREAD_NAME_PREFIX",
            needed,
            actual,
        })?;
        place.copy_from_slice(prefix);
        return Ok(needed);
    }
    let (name, value) = match id {
        id::IO_THREADS => ("ZMQ_IO_THREADS", options.io_threads),
        id::MAX_SOCKETS => ("ZMQ_MAX_SOCKETS", options.max_sockets),
        id::SOCKET_LIMIT => ("ZMQ_SOCKET_LIMIT", SOCKET_LIMIT),
        id::THREAD_SCHED_POLICY => ("ZMQ_THREAD_SCHED_POLICY", options.thread_policy.unwrap_or(POLICY_UNSET)),
        id::MAX_MSGSZ => ("ZMQ_MAX_MSGSZ", options.max_message_size),
        id::MSG_T_SIZE => ("ZMQ_MSG_T_SIZE", MSG_T_SIZE),
        id::THREAD_NAME_PREFIX => ("ZMQ_THREAD_NAME_PREFIX", leading_number(&options.thread_name_prefix)),
        id::ZERO_COPY_RECV => ("ZMQ_ZERO_COPY_RECV", options.zero_copy_receive.into()),
        id::IPV6 => ("ZMQ_IPV6", options.ipv6.into()),
        id::BLOCKY => ("ZMQ_BLOCKY", options.blocky.into()),
        id::THREAD_AFFINITY_CPU_ADD => {
            return Err(OptionError::WriteOnly { name: "ZMQ_THREAD_AFFINITY_CPU_ADD" });
        }
        id::THREAD_AFFINITY_CPU_REMOVE => {
            return Err(OptionError::WriteOnly { name: "ZMQ_THREAD_AFFINITY_CPU_REMOVE" });
        }
        _ => return Err(OptionError::Unknown { id }),
    };
    let (min, max) = (size_of::<i32>(), size_of::<i32>());
    if out.len() != min {
        return Err(OptionError::WrongSize { name, min, max, actual: out.len() });
    }
    out.copy_from_slice(&value.to_ne_bytes());
    Ok(min)
}

fn number(name: &'static str, value: &[u8], min: i32) -> Result<i32, OptionError> {
    let size = size_of::<i32>();
    let bytes = value.try_into().map_err(|_| OptionError::WrongSize {
        name,
        min: size,
        max: size,
        actual: value.len(),
    })?;
    let number = i32::from_ne_bytes(bytes);
    if number < min {
        let (value, min, max) = (number.into(), min.into(), i32::MAX.into());
        return Err(OptionError::OutOfRange { name, value, min, max });
    }
    Ok(number)
}

/// The number a text begins with, or 0: how a thread name prefix reads as an `int`.
fn leading_number(text: &[u8]) -> i32 {
    let digits =
        text.iter().enumerate().take_while(|&(at, byte)| byte.is_ascii_digit() || (at == 0 && *byte == b'-'));
    let length = digits.count();
    std::str::from_utf8(&text[..length]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
