//! Monitors: a socket's events as messages.
//!
//! A monitor is a PAIR, PUB or PUSH socket of the same context, which the monitored socket's events are sent on without waiting:
//! an event that meets no reader, or one that is more than the high-water mark behind, is lost. (libzmq's I/O
//! thread waits then, and with it all its connections.)

use std::ffi::{c_char, c_int, c_void};

use zlink::{EventKind, MonitorEvent, SocketType, raw};

use crate::error::{Failure, Result, call};
use crate::socket::{Socket, enter};
use crate::stats::fields;
use crate::utils::text;

const LINGER: c_int = 17;
const PAIR: c_int = 0;

/// How an event is told.
#[derive(Clone, Copy)]
enum Version {
    /// A part of six bytes with the event's number and value, and the endpoint.
    One,
    /// Parts of eight bytes with the event's number, the number of values, and each value; then this end and the other
    /// end of the connection.
    Two,
}

/// `zmq_socket_monitor`: version 1, with a PAIR socket. A null endpoint ends the monitor.
///
/// # Safety
///
/// `endpoint` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor(
    socket: *mut c_void,
    endpoint: *const c_char,
    events: c_int,
) -> c_int {
    // A negative set has bits that no event has.
    let events = i64::from(events).cast_unsigned();
    // SAFETY: the caller's.
    unsafe { zmq_socket_monitor_versioned(socket, endpoint, events, 1, PAIR) }
}

/// `zmq_socket_monitor_versioned`. A null endpoint ends the monitor.
///
/// # Safety
///
/// As [`zmq_socket_monitor`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_socket_monitor_versioned(
    socket: *mut c_void,
    endpoint: *const c_char,
    events: u64,
    version: c_int,
    socket_type: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        let version = match version {
            1 if events & !u64::from(EventKind::ALL) == 0 => Version::One,
            2 => Version::Two,
            _ => return Err(Failure(libc::EINVAL)),
        };
        if endpoint.is_null() {
            raw::set_monitor(&socket, 0, None)?;
        } else {
            // SAFETY: not null, and the caller's word.
            let endpoint = unsafe { text(endpoint) }?;
            // What has no event is asked for in vain.
            start(&socket, endpoint, events as u32, version, socket_type)?;
        }
        Ok(0)
    })
}

/// `zmq_socket_monitor_pipes_stats`: an event of each kind that was asked for (libzmq's, and zlink's own with all counters)
/// for each pipe of a socket that is monitored with version 2.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_socket_monitor_pipes_stats(socket: *mut c_void) -> c_int {
    call(-1, || {
        enter(socket)?.report_pipes()?;
        Ok(0)
    })
}

fn start(socket: &Socket, endpoint: &str, mask: u32, version: Version, socket_type: c_int) -> Result<()> {
    let (transport, name) = endpoint.split_once("://").ok_or(Failure(libc::EINVAL))?;
    if name.is_empty() {
        return Err(Failure(libc::EINVAL));
    }
    if transport != "inproc" {
        return Err(Failure(libc::EPROTONOSUPPORT));
    }
    // First, as its endpoint may be the new one's.
    raw::set_monitor(socket, 0, None)?;
    let socket_type = SocketType::from_i32(socket_type)
        .filter(|it| matches!(it, SocketType::Pair | SocketType::Pub | SocketType::Push))
        .ok_or(Failure(libc::EINVAL))?;
    let sender = socket.context.socket(socket_type)?;
    // What was not read holds up no termination of the context.
    sender.set_option(LINGER, &0i32.to_ne_bytes())?;
    sender.bind(endpoint)?;
    let sink = move |event: &MonitorEvent| {
        // The end of a monitor is told to its sink whatever the mask.
        if event.kind as u32 & mask != 0 {
            send(&sender, event, version);
        }
    };
    raw::set_monitor(socket, mask, Some(Box::new(sink)))?;
    Ok(())
}

fn send(sender: &zlink::Socket, event: &MonitorEvent, version: Version) {
    let number = event.kind as u32;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    match version {
        Version::One => {
            // Event numbers have 16 bits, as the mask has been checked to.
            let mut first = (number as u16).to_ne_bytes().to_vec();
            first.extend_from_slice(&event.value.to_ne_bytes());
            parts.extend([first, event.endpoint.clone().into_bytes()]);
        }
        Version::Two => {
            let mut values = event.queued.map_or_else(|| vec![u64::from(event.value)], Vec::from);
            values.extend(event.counters.iter().flat_map(|counters| fields(counters)));
            let numbers = [u64::from(number), values.len() as u64].into_iter().chain(values);
            parts.extend(numbers.map(|number| number.to_ne_bytes().to_vec()));
            parts.extend([event.local.clone().into_bytes(), event.remote.clone().into_bytes()]);
        }
    }
    let last = parts.len() - 1;
    for (at, part) in parts.iter().enumerate() {
        // Without a reader there is nobody to tell.
        if raw::send_slice(sender, part, at < last, true).is_err() {
            return;
        }
    }
}
