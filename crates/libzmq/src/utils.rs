//! Version, capabilities, stopwatch and threads; and the arguments that are pointers.

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::slice;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Failure, Result, call};

/// More bytes than a process can address on the machines there are: a size above is a mistake, and there is no memory
/// for a copy.
const LARGEST: usize = 1 << 47;

/// The bytes a caller passes.
///
/// # Safety
///
/// `data` is null or valid for reads of `size` bytes, for the lifetime chosen.
#[inline]
pub(crate) unsafe fn input<'a>(data: *const c_void, size: usize) -> Result<&'a [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure(libc::EFAULT));
    }
    if size > LARGEST {
        return Err(Failure(libc::ENOMEM));
    }
    // SAFETY: not null, no longer than any object can be, and valid by the caller's word.
    Ok(unsafe { slice::from_raw_parts(data.cast(), size) })
}

/// From this size on it is asked whether there is memory for a copy before one is made, since an allocation inside the
/// library that fails ends the process. A caller may well have that many bytes: mapped from a file, say.
const ASK_FROM: usize = 1 << 30;

/// The bytes a caller passes to be copied.
///
/// # Safety
///
/// As for [`input`].
#[inline]
pub(crate) unsafe fn input_to_copy<'a>(data: *const c_void, size: usize) -> Result<&'a [u8]> {
    if (ASK_FROM..=LARGEST).contains(&size) {
        Vec::<u8>::new().try_reserve_exact(size).map_err(|_| Failure(libc::ENOMEM))?;
    }
    // SAFETY: the caller's.
    unsafe { input(data, size) }
}

/// The buffer a caller passes.
///
/// # Safety
///
/// `data` is null or valid for writes of `size` bytes, for the lifetime chosen, and nobody else uses it meanwhile.
/// (What C memory holds before is not known, and not read.)
#[inline]
pub(crate) unsafe fn output<'a>(data: *mut c_void, size: usize) -> Result<&'a mut [u8]> {
    if size == 0 {
        return Ok(&mut []);
    }
    if data.is_null() {
        return Err(Failure(libc::EFAULT));
    }
    // Who says more than there can be says that there is room for whatever comes.
    let size = size.min(LARGEST);
    // SAFETY: not null, no longer than any object can be, and valid by the caller's word.
    Ok(unsafe { slice::from_raw_parts_mut(data.cast(), size) })
}

/// Lets `write` fill a buffer whose size a caller passes by reference, and stores the length of the value there.
///
/// # Safety
///
/// `size` is null or valid for reads and writes; `data` is null or valid for writes of `*size` bytes.
pub(crate) unsafe fn output_with_size(
    data: *mut c_void,
    size: *mut usize,
    write: impl FnOnce(&mut [u8]) -> Result<usize>,
) -> Result<c_int> {
    if size.is_null() {
        return Err(Failure(libc::EFAULT));
    }
    // SAFETY: not null, and the caller's word; the buffer is no longer used when `size` is written.
    unsafe { size.write(write(output(data, size.read())?)?) };
    Ok(0)
}

/// The text a caller passes.
///
/// # Safety
///
/// `text` is null or a string that ends in a zero byte, for the lifetime chosen.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(Failure(libc::EINVAL));
    }
    // SAFETY: not null, and the caller's word.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Failure(libc::EINVAL))
}

/// The name of a group that a caller passes: any bytes but zero, which ends it.
///
/// # Safety
///
/// `group` is null or a string that ends in a zero byte, for the lifetime chosen.
pub(crate) unsafe fn group<'a>(group: *const c_char) -> Result<&'a [u8]> {
    if group.is_null() {
        return Err(Failure(libc::EFAULT));
    }
    // SAFETY: not null, and the caller's word.
    Ok(unsafe { CStr::from_ptr(group) }.to_bytes())
}

/// `zmq_version`: the libzmq release whose interface this is.
///
/// # Safety
///
/// Each argument is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_version(major: *mut c_int, minor: *mut c_int, patch: *mut c_int) {
    for (place, number) in [(major, 4), (minor, 3), (patch, 5)] {
        if !place.is_null() {
            // SAFETY: not null, and the caller's word.
            unsafe { place.write(number) };
        }
    }
}

/// What `zmq_has` says yes to.
const CAPABILITIES: &[&str] = &[
    "ipc",
    "tipc",
    "vsock",
    "WS",
    "curve",
    #[cfg(feature = "gssapi")]
    "gssapi",
    #[cfg(feature = "wss")]
    "WSS",
    #[cfg(feature = "draft")]
    "draft",
];

/// `zmq_has`: whether the library has a capability.
///
/// # Safety
///
/// `capability` is null or a string that ends in a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_has(capability: *const c_char) -> c_int {
    // SAFETY: the caller's.
    call(0, || Ok(CAPABILITIES.contains(&unsafe { text(capability) }?).into()))
}

/// `zmq_stopwatch_start`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_stopwatch_start() -> *mut c_void {
    call(std::ptr::null_mut(), || Ok(Box::into_raw(Box::new(Instant::now())).cast()))
}

/// `zmq_stopwatch_intermediate`: microseconds since the start.
///
/// # Safety
///
/// `watch` is null or came from `zmq_stopwatch_start` and was not stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_stopwatch_intermediate(watch: *mut c_void) -> c_ulong {
    call(0, || {
        // SAFETY: the caller's.
        let start = unsafe { watch.cast::<Instant>().as_ref() }.ok_or(Failure(libc::EFAULT))?;
        Ok(c_ulong::try_from(start.elapsed().as_micros()).unwrap_or(c_ulong::MAX))
    })
}

/// `zmq_stopwatch_stop`: microseconds since the start. Frees the watch.
///
/// # Safety
///
/// As [`zmq_stopwatch_intermediate`]; the watch is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_stopwatch_stop(watch: *mut c_void) -> c_ulong {
    // SAFETY: the caller's.
    let elapsed = unsafe { zmq_stopwatch_intermediate(watch) };
    if !watch.is_null() {
        // SAFETY: the box of `zmq_stopwatch_start`, given up by the caller.
        drop(unsafe { Box::from_raw(watch.cast::<Instant>()) });
    }
    elapsed
}

/// `zmq_sleep`.
#[unsafe(no_mangle)]
pub extern "C" fn zmq_sleep(seconds: c_int) {
    call((), || {
        std::thread::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        Ok(())
    });
}

/// `zmq_thread_fn`.
type ThreadFn = unsafe extern "C" fn(*mut c_void);

/// What a thread is started with.
struct Start {
    function: ThreadFn,
    argument: *mut c_void,
}

// SAFETY: the caller of `zmq_threadstart` passes a function that may run in another thread, and what it needs.
unsafe impl Send for Start {}

impl Start {
    fn run(self) {
        // SAFETY: the caller of `zmq_threadstart` passes a function and its argument to be called once.
        unsafe { (self.function)(self.argument) }
    }
}

/// `zmq_threadstart`.
///
/// # Safety
///
/// `function` is null or may be called with `argument` from another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_threadstart(function: Option<ThreadFn>, argument: *mut c_void) -> *mut c_void {
    call(std::ptr::null_mut(), || {
        let start = Start { function: function.ok_or(Failure(libc::EFAULT))?, argument };
        let thread = std::thread::Builder::new()
            .spawn(move || start.run())
            .map_err(|error| Failure(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        Ok(Box::into_raw(Box::new(thread)).cast())
    })
}

/// `zmq_threadclose`: waits until the thread ends, and frees what is kept of it.
///
/// # Safety
///
/// `thread` is null or came from `zmq_threadstart`, and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zmq_threadclose(thread: *mut c_void) {
    call((), || {
        if thread.is_null() {
            return Err(Failure(libc::EFAULT));
        }
        // SAFETY: the box of `zmq_threadstart`, given up by the caller.
        let thread = unsafe { Box::from_raw(thread.cast::<JoinHandle<()>>()) };
        // A C function cannot panic, and a thread that was killed is over as well.
        let _ = thread.join();
        Ok(())
    });
}
