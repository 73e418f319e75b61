//! Monitors: a socket's events as messages of two parts.
//!
//! A monitor is a PAIR socket of the same context, which the monitored socket's events are sent on without waiting:
//! an event that meets no reader, or one that is more than the high-water mark behind, is lost. (libzmq's I/O
//! thread waits then, and with it all its connections.)

use std::ffi::{c_char, c_int, c_void};

use zlink::{EventKind, MonitorEvent, SocketType, raw};

use crate::error::{Failure, Result, call};
use crate::socket::{Socket, enter};
use crate::utils::text;

const LINGER: c_int = 17;
const PAIR: c_int = 0;

/// `zmq_socket_monitor`. A null endpoint ends the monitor.
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
    call(-1, || {
        let socket = enter(socket)?;
        let mask = u32::try_from(events).ok().filter(|mask| mask & !EventKind::ALL == 0);
        let mask = mask.ok_or(Failure(libc::EINVAL))?;
        if endpoint.is_null() {
            raw::set_monitor(&socket, 0, None)?;
        } else {
            // SAFETY: not null, and the caller's word.
            start(&socket, unsafe { text(endpoint) }?, mask)?;
        }
        Ok(0)
    })
}

/// `zmq_socket_monitor_versioned`. Of the versions, 1 is there, and of the socket types, PAIR.
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
    match c_int::try_from(events) {
        // SAFETY: the caller's.
        Ok(events) if version == 1 && socket_type == PAIR => unsafe {
            zmq_socket_monitor(socket, endpoint, events)
        },
        _ => call(-1, || {
            enter(socket)?;
            let known = matches!(version, 1 | 2);
            Err(Failure(if known { libc::ENOTSUP } else { libc::EINVAL }))
        }),
    }
}

fn start(socket: &Socket, endpoint: &str, mask: u32) -> Result<()> {
    let (transport, name) = endpoint.split_once("://").ok_or(Failure(libc::EINVAL))?;
    if name.is_empty() {
        return Err(Failure(libc::EINVAL));
    }
    if transport != "inproc" {
        return Err(Failure(libc::EPROTONOSUPPORT));
    }
    // First, as its endpoint may be the new one's.
    raw::set_monitor(socket, 0, None)?;
    let sender = socket.context.socket(SocketType::Pair)?;
    // What was not read holds up no termination of the context.
    sender.set_option(LINGER, &0i32.to_ne_bytes())?;
    sender.bind(endpoint)?;
    raw::set_monitor(socket, mask, Some(Box::new(move |event| send(&sender, event, mask))))?;
    Ok(())
}

fn send(sender: &zlink::Socket, event: &MonitorEvent, mask: u32) {
    let number = event.kind as u32;
    if number & mask == 0 {
        // The end of a monitor is told to its sink whatever the mask.
        return;
    }
    let mut first = [0; 6];
    // Event numbers have 16 bits, as the mask has been checked to.
    first[..2].copy_from_slice(&(number as u16).to_ne_bytes());
    first[2..].copy_from_slice(&event.value.to_ne_bytes());
    // Without a reader there is nobody to tell.
    if raw::send_slice(sender, &first, true, true).is_ok() {
        let _ = raw::send_slice(sender, event.endpoint.as_bytes(), false, true);
    }
}
