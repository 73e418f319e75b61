//! Messages: `zmq_msg_t` and what is done with it.
//!
//! Its 64 bytes hold a [`Message`]. A message may be moved by copying its bytes, as C++ wrappers do. Memory that was
//! never initialised, or a message that was closed, is told by its kind byte and refused with `EFAULT`.

use std::ffi::{c_char, c_int, c_void};
use std::mem::{align_of, size_of};
use std::ptr;

use zlink::raw;
use zlink_pipe::{MAX_GROUP_LEN, Message};

use crate::error::{Failure, Result, call};
use crate::socket::{DONTWAIT, SNDMORE, enter, returned};
use crate::utils::{group, input, text};

const MORE: c_int = 1;
const SRCFD: c_int = 2;
const SHARED: c_int = 3;

/// `zmq_msg_t`.
#[repr(C)]
pub struct MessageMemory {
    message: Message,
}

const _: () =
    assert!(size_of::<MessageMemory>() <= 64 && align_of::<MessageMemory>() == align_of::<*mut c_void>());

/// The message at `place`, if there is one.
///
/// # Safety
///
/// `place` is null or valid for reads and writes of a `zmq_msg_t`, for the lifetime chosen, and nobody else uses it
/// meanwhile.
#[inline]
unsafe fn at<'a>(place: *mut MessageMemory) -> Result<&'a mut MessageMemory> {
    // SAFETY: the caller's.
    unsafe {
        seen_at(place)?;
        Ok(&mut *place)
    }
}

/// The message at `place`, if there is one, to be read only.
///
/// # Safety
///
/// `place` is null or valid for reads of a `zmq_msg_t`, for the lifetime chosen, and nobody changes it meanwhile.
#[inline]
unsafe fn seen_at<'a>(place: *const MessageMemory) -> Result<&'a MessageMemory> {
    // SAFETY: not null, so valid for reads by the caller's word.
    if place.is_null() || !place.is_aligned() || !unsafe { Message::is_valid_at(place.cast()) } {
        return Err(Failure(libc::EFAULT));
    }
    // SAFETY: valid by the caller's word, and a message has been written there, as its kind tells.
    Ok(unsafe { &*place })
}

/// Makes a message at `place`, over whatever is there. In place: moving it there would cost more than making it.
///
/// # Safety
///
/// `place` is null or valid for writes of a `zmq_msg_t`.
#[inline]
unsafe fn init(place: *mut MessageMemory, fill: impl FnOnce(&mut Message) -> Result<()>) -> c_int {
    call(-1, || {
        if place.is_null() || !place.is_aligned() {
            return Err(Failure(libc::EFAULT));
        }
        // SAFETY: not null, and the caller's word; a message that could not be filled is none.
        unsafe {
            place.write(MessageMemory { message: Message::new() });
            fill(&mut (*place).message)
                .inspect_err(|_| Message::close_at(ptr::addr_of_mut!((*place).message)))?;
        }
        Ok(0)
    })
}

/// Makes `message` one of `size` bytes for the caller to write.
#[inline]
fn resize(message: &mut Message, size: usize) -> Result<()> {
    // SAFETY: the memory is C's from here on, which knows no such thing as uninitialised memory; what of it is sent is
    // what the caller left there.
    if unsafe { message.assign_uninitialised(size) } { Ok(()) } else { Err(Failure(libc::ENOMEM)) }
}

/// `zmq_msg_init`.
///
/// # Safety
///
/// `message` is null or valid for writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init(message: *mut MessageMemory) -> c_int {
    // SAFETY: the caller's.
    unsafe { init(message, |_| Ok(())) }
}

/// `zmq_msg_init_size`.
///
/// # Safety
///
/// `message` is null or valid for writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_size(message: *mut MessageMemory, size: usize) -> c_int {
    // SAFETY: the caller's.
    unsafe { init(message, |message| resize(message, size)) }
}

/// `zmq_msg_init_buffer`: a message with a copy of the caller's bytes.
///
/// # Safety
///
/// `message` is null or valid for writes of a `zmq_msg_t`; `data` is null or valid for reads of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_buffer(
    message: *mut MessageMemory,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        init(message, |message| {
            let bytes = input(data, size)?;
            resize(message, size)?;
            ptr::copy_nonoverlapping(bytes.as_ptr(), message.data_ptr(), bytes.len());
            Ok(())
        })
    }
}

/// `zmq_msg_init_data`: a message over the caller's memory, which `release` gives back. Without `release` the
/// memory is constant and stays the caller's.
///
/// # Safety
///
/// `message` is null or valid for writes of a `zmq_msg_t`; `data` is null or valid for reads of `size` bytes, from
/// any thread, until `release` has been called, or for ever; `release` may be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_init_data(
    message: *mut MessageMemory,
    data: *mut c_void,
    size: usize,
    release: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    hint: *mut c_void,
) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        init(message, |message| {
            input(data, size)?;
            *message = Message::from_foreign(data, size, release, hint);
            Ok(())
        })
    }
}

/// `zmq_msg_close`.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_close(message: *mut MessageMemory) -> c_int {
    call(-1, || {
        // SAFETY: the caller's; the message is given up, and marked as none for whoever looks again.
        unsafe {
            at(message)?;
            Message::close_at(ptr::addr_of_mut!((*message).message));
        }
        Ok(0)
    })
}

/// `zmq_msg_move`: what `to` held is released, `from` is empty afterwards.
///
/// # Safety
///
/// Both are null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_move(to: *mut MessageMemory, from: *mut MessageMemory) -> c_int {
    call(-1, || {
        // SAFETY: the caller's; only one of the two references is made if both are the same.
        unsafe {
            seen_at(from)?;
            seen_at(to)?;
            if to != from {
                *at(to)? = std::mem::replace(at(from)?, MessageMemory { message: Message::new() });
            }
        }
        Ok(0)
    })
}

/// `zmq_msg_copy`: what `to` held is released; the two share a large body.
///
/// # Safety
///
/// Both are null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_copy(to: *mut MessageMemory, from: *mut MessageMemory) -> c_int {
    call(-1, || {
        // SAFETY: the caller's; only one of the two references is made if both are the same.
        unsafe {
            seen_at(from)?;
            seen_at(to)?;
            if to != from {
                *at(to)? = MessageMemory { message: at(from)?.message.clone() };
            }
        }
        Ok(0)
    })
}

/// `zmq_msg_data`.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_data(message: *mut MessageMemory) -> *mut c_void {
    // SAFETY: the caller's.
    call(ptr::null_mut(), || Ok(unsafe { at(message) }?.message.data_ptr().cast()))
}

/// `zmq_msg_size`; 0 for what is no message.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_size(message: *const MessageMemory) -> usize {
    // SAFETY: the caller's.
    call(0, || Ok(unsafe { seen_at(message) }?.message.len()))
}

/// `zmq_msg_more`.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_more(message: *const MessageMemory) -> c_int {
    // SAFETY: the caller's.
    call(0, || Ok(unsafe { seen_at(message) }?.message.more().into()))
}

/// `zmq_msg_get`. `ZMQ_SRCFD` is the descriptor of the connection the message came from, which may be closed by now.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_get(message: *const MessageMemory, property: c_int) -> c_int {
    call(-1, || {
        // SAFETY: the caller's.
        let message = &unsafe { seen_at(message) }?.message;
        match property {
            MORE => Ok(message.more().into()),
            SHARED => Ok(message.is_shared().into()),
            SRCFD => {
                let fd = message.property("__fd").and_then(|fd| fd.parse().ok());
                fd.ok_or(Failure(libc::EINVAL))
            }
            _ => Err(Failure(libc::EINVAL)),
        }
    })
}

/// `zmq_msg_set`. There is no property that can be set.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_msg_set(_message: *mut MessageMemory, _property: c_int, _value: c_int) -> c_int {
    call(-1, || Err(Failure(libc::EINVAL)))
}

/// `zmq_msg_gets`: a property of the connection the message came from. The string lives as long as the message, or the
/// connection if that is longer.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`; `property` is null or a string that ends in a
/// zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_gets(
    message: *const MessageMemory,
    property: *const c_char,
) -> *const c_char {
    call(ptr::null(), || {
        // SAFETY: the caller's.
        let (message, property) = unsafe { (seen_at(message)?, text(property)?) };
        // The name that routing ids had in ZMTP 3.0, under which libzmq tells them too.
        let name = if property.eq_ignore_ascii_case("Routing-Id") { "Identity" } else { property };
        let value = message.message.property_text(property).or_else(|| message.message.property_text(name));
        Ok(value.ok_or(Failure(libc::EINVAL))?.as_ptr())
    })
}

/// `zmq_msg_routing_id`.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_routing_id(message: *mut MessageMemory) -> u32 {
    // SAFETY: the caller's.
    call(0, || Ok(unsafe { seen_at(message) }?.message.routing_id()))
}

/// `zmq_msg_set_routing_id`. 0 is no routing id and is refused.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set_routing_id(message: *mut MessageMemory, routing_id: u32) -> c_int {
    call(-1, || {
        // SAFETY: the caller's.
        let message = unsafe { at(message) }?;
        if routing_id == 0 {
            return Err(Failure(libc::EINVAL));
        }
        message.message.set_routing_id(routing_id);
        Ok(0)
    })
}

/// `zmq_msg_group`. The string lives as long as the message, and until its group is set again; it is empty if there
/// is no group.
///
/// # Safety
///
/// `message` is null or valid for reads of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_group(message: *mut MessageMemory) -> *const c_char {
    // SAFETY: the caller's.
    call(ptr::null(), || Ok(unsafe { seen_at(message) }?.message.group_text().as_ptr()))
}

/// `zmq_msg_set_group`. Of a longer name the first 255 bytes count, as in libzmq.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`; `name` is null or a string that ends in a zero
/// byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_set_group(message: *mut MessageMemory, name: *const c_char) -> c_int {
    call(-1, || {
        // SAFETY: the caller's.
        let (message, name) = unsafe { (at(message)?, group(name)?) };
        let name = &name[..name.len().min(MAX_GROUP_LEN)];
        message.message.set_group(name).map_err(zlink::Error::from)?;
        Ok(0)
    })
}

/// `zmq_msg_send`. On success the message is empty afterwards, on failure unchanged. Returns the size sent.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_send(
    message: *mut MessageMemory,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let memory = unsafe { at(message) }?;
        let size = memory.message.len();
        raw::send_message(&socket, &mut memory.message, flags & SNDMORE != 0, flags & DONTWAIT != 0)?;
        Ok(returned(size))
    })
}

/// `zmq_msg_recv`. What the message held is released on success. Returns the size received.
///
/// # Safety
///
/// `message` is null or valid for reads and writes of a `zmq_msg_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_msg_recv(
    message: *mut MessageMemory,
    socket: *mut c_void,
    flags: c_int,
) -> c_int {
    call(-1, || {
        let socket = enter(socket)?;
        // SAFETY: the caller's.
        let memory = unsafe { at(message) }?;
        raw::recv_message(&socket, &mut memory.message, flags & DONTWAIT != 0)?;
        Ok(returned(memory.message.len()))
    })
}

/// `zmq_sendmsg`, the old name of `zmq_msg_send`.
///
/// # Safety
///
/// As [`zmq_msg_send`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_sendmsg(
    socket: *mut c_void,
    message: *mut MessageMemory,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { zmq_msg_send(message, socket, flags) }
}

/// `zmq_recvmsg`, the old name of `zmq_msg_recv`.
///
/// # Safety
///
/// As [`zmq_msg_recv`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_recvmsg(
    socket: *mut c_void,
    message: *mut MessageMemory,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { zmq_msg_recv(message, socket, flags) }
}
