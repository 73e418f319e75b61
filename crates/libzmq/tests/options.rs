//! Every option number with every kind of value, given to libzmq 4.3.5 and to this library: the same is accepted, the
//! same is refused, and the same is read back, but for the differences named here.

use std::ffi::{c_int, c_void};
use std::path::Path;

use libloading::Library;

use common::our_library;

mod common;

const EINVAL: c_int = 22;
const SOCKET_TYPES: [c_int; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20];
const PUB: c_int = 1;
const REP: c_int = 4;
const XSUB: c_int = 10;

/// All numbers in use by libzmq, some on either side, and our own.
fn option_numbers() -> impl Iterator<Item = c_int> {
    (-2..=130).chain([9_999, 10_004, c_int::MIN, c_int::MAX])
}

/// A library under test, through the functions that options take.
struct Zmq {
    library: Library,
    context: *mut c_void,
}

/// The outcome of a call: its errno, or what it wrote.
type Outcome = Result<Vec<u8>, c_int>;

impl Zmq {
    fn load(path: &Path) -> Self {
        // SAFETY: both files are built by this workspace; loading them runs nothing but the C++ runtime's start.
        let library =
            unsafe { Library::new(path) }.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut zmq = Self { library, context: std::ptr::null_mut() };
        // SAFETY: the signature is zmq.h's.
        zmq.context = unsafe { zmq.function::<extern "C" fn() -> *mut c_void>("zmq_ctx_new")() };
        assert!(!zmq.context.is_null());
        zmq
    }

    fn pair() -> (Self, Self) {
        (Self::load(our_library()), Self::load(libzmq_reference::shared_object()))
    }

    /// # Safety
    ///
    /// `T` must be the type zmq.h gives the function.
    unsafe fn function<T: Copy>(&self, name: &str) -> T {
        // SAFETY: the caller's; and the function is not used longer than `self.library` is there.
        *unsafe { self.library.get::<T>(name) }.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn error(&self) -> c_int {
        // SAFETY: the signature is zmq.h's.
        unsafe { self.function::<extern "C" fn() -> c_int>("zmq_errno")() }
    }

    fn socket(&self, socket_type: c_int) -> Socket<'_> {
        // SAFETY: the signature is zmq.h's, and the context is there until `self` is dropped.
        let socket = unsafe {
            let new: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void = self.function("zmq_socket");
            new(self.context, socket_type)
        };
        assert!(!socket.is_null(), "socket type {socket_type}: errno {}", self.error());
        Socket { zmq: self, socket }
    }

    fn set_in(&self, target: *mut c_void, function: &str, option: c_int, value: &[u8]) -> Outcome {
        // libzmq reads an int from some options whatever the length says.
        let mut memory = value.to_vec();
        memory.resize(value.len().max(8), 0);
        // SAFETY: the signature is zmq.h's for both functions that are named, and `memory` outlives the call.
        let result = unsafe {
            let set: unsafe extern "C" fn(*mut c_void, c_int, *const c_void, usize) -> c_int =
                self.function(function);
            set(target, option, memory.as_ptr().cast(), value.len())
        };
        if result == 0 { Ok(Vec::new()) } else { Err(self.error()) }
    }

    fn get_from(&self, target: *mut c_void, function: &str, option: c_int, size: usize) -> Outcome {
        let mut memory = vec![0xA5; size.max(8)];
        let mut written = size;
        // SAFETY: the signature is zmq.h's for both functions that are named; `memory` has room for `size` bytes.
        let result = unsafe {
            let get: unsafe extern "C" fn(*mut c_void, c_int, *mut c_void, *mut usize) -> c_int =
                self.function(function);
            get(target, option, memory.as_mut_ptr().cast(), &raw mut written)
        };
        if result != 0 {
            return Err(self.error());
        }
        // The length comes first, so that it is compared as well.
        memory.truncate(size);
        Ok([written.to_ne_bytes().as_slice(), &memory].concat())
    }

    fn set_context(&self, option: c_int, value: c_int) -> Outcome {
        // SAFETY: the signature is zmq.h's.
        let result = unsafe {
            let set: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int = self.function("zmq_ctx_set");
            set(self.context, option, value)
        };
        if result == 0 { Ok(Vec::new()) } else { Err(self.error()) }
    }
}

impl Drop for Zmq {
    fn drop(&mut self) {
        // SAFETY: the signature is zmq.h's; all sockets borrow from `self` and so are closed by now.
        unsafe {
            let end: unsafe extern "C" fn(*mut c_void) -> c_int = self.function("zmq_ctx_term");
            end(self.context);
        }
    }
}

struct Socket<'a> {
    zmq: &'a Zmq,
    socket: *mut c_void,
}

impl Socket<'_> {
    fn set(&self, option: c_int, value: &[u8]) -> Outcome {
        self.zmq.set_in(self.socket, "zmq_setsockopt", option, value)
    }

    fn get(&self, option: c_int, size: usize) -> Outcome {
        self.zmq.get_from(self.socket, "zmq_getsockopt", option, size)
    }
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        // SAFETY: the signature is zmq.h's, and the socket is closed once.
        unsafe {
            let close: unsafe extern "C" fn(*mut c_void) -> c_int = self.zmq.function("zmq_close");
            close(self.socket);
        }
    }
}

fn values() -> Vec<Vec<u8>> {
    let ints = [-101, -100, -99, -2, -1, 0, 1, 2, 3, 100, 255, 6_553_599, 6_553_600, c_int::MAX, c_int::MIN];
    let longs = [-1i64, 0, 1, i64::MAX, i64::MIN];
    let metadata = ["X-a:b", "X-:b", "X-a:", ":b", "X-a:c", "a:bb", "X-ab", "X-k:v:w", "x-a:b"];
    let mut values: Vec<Vec<u8>> = ints.iter().map(|value| value.to_ne_bytes().to_vec()).collect();
    values.extend(longs.iter().map(|value| value.to_ne_bytes().to_vec()));
    values.extend(metadata.iter().map(|value| value.as_bytes().to_vec()));
    values.extend(
        [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 32, 40, 41, 255, 256, 1000].map(|size| vec![b'x'; size]),
    );
    values.push([b"X-".as_slice(), &[b'n'; 253], b":v"].concat());
    values.push([b"X-".as_slice(), &[b'n'; 254], b":v"].concat());
    values.push(b"eth0\0".to_vec());
    values
}

/// What differs on purpose when `option` is set.
fn set_differs(socket_type: c_int, option: c_int, value: &[u8]) -> bool {
    // REP inherits these from ROUTER in libzmq, where the manual has them for ROUTER only.
    let router_option_of_rep = socket_type == REP && [33, 41, 51, 56, 61, 97].contains(&option);
    // A NULL and an empty username or password are one thing here.
    let empty_credential = [45, 46].contains(&option) && value.is_empty();
    // No routing id is longer than 255 bytes; libzmq finds out later.
    let long_routing_id = option == 61 && value.len() > 255;
    // libzmq reads an int whatever the length says.
    let any_length = option == 115 && value.len() != size_of::<c_int>();
    // Taken here by the types that they have an effect on.
    let no_effect = match option {
        110 => ![5, 6, 12, 13, 19].contains(&socket_type),
        111 => ![6, 12, 19].contains(&socket_type),
        114 => ![5, 13, 19].contains(&socket_type),
        _ => false,
    };
    any_length || no_effect || router_option_of_rep || empty_credential || long_routing_id
}

/// What differs on purpose when `option` is read.
fn get_differs(socket_type: c_int, option: c_int) -> bool {
    // libzmq's thread-safe types have no descriptor to poll.
    let descriptor = option == 14 && socket_type > 11;
    // ZMQ_BUSY_POLL: libzmq writes the value and fails all the same.
    descriptor || option == 113
}

/// ZMQ_FD and ZMQ_EVENTS: the form is compared, the value is the socket's own.
fn without_live_value(option: c_int, outcome: Outcome) -> Outcome {
    outcome.map(|bytes| if [14, 15].contains(&option) { vec![0; bytes.len()] } else { bytes })
}

fn compare_reads(ours: &Socket<'_>, theirs: &Socket<'_>, socket_type: c_int, option: c_int, after: &[u8]) {
    for size in [0, 1, 3, 4, 5, 7, 8, 9, 16, 18, 255, 256, 1001] {
        let mine = without_live_value(option, ours.get(option, size));
        let other = without_live_value(option, theirs.get(option, size));
        assert_eq!(
            mine, other,
            "read of {option} into {size} bytes, socket type {socket_type}, after {after:?}"
        );
    }
}

#[test]
fn setting_and_reading_every_option_does_what_libzmq_does() {
    let (ours, theirs) = Zmq::pair();
    let values = values();
    for socket_type in SOCKET_TYPES {
        for option in option_numbers() {
            let (mine, other) = (ours.socket(socket_type), theirs.socket(socket_type));
            if !get_differs(socket_type, option) {
                compare_reads(&mine, &other, socket_type, option, b"creation");
            }
            for value in &values {
                if set_differs(socket_type, option, value) {
                    continue;
                }
                let (left, right) = (mine.set(option, value), other.set(option, value));
                assert_eq!(left, right, "option {option} set to {value:?}, socket type {socket_type}");
                if left.is_ok() && !get_differs(socket_type, option) {
                    compare_reads(&mine, &other, socket_type, option, value);
                }
            }
        }
    }
}

#[test]
fn manual_mode_lets_publishers_subscribe_as_in_libzmq() {
    let (ours, theirs) = Zmq::pair();
    for socket_type in [1, 9] {
        let (mine, other) = (ours.socket(socket_type), theirs.socket(socket_type));
        for (option, value) in [(6, 0), (71, 1), (6, 0), (7, 0), (71, 0), (7, 0)] {
            let value = c_int::to_ne_bytes(value);
            assert_eq!(mine.set(option, &value), other.set(option, &value), "option {option}");
        }
    }
}

#[test]
fn options_that_have_nothing_to_have_an_effect_on_are_refused_as_unknown() {
    let ours = Zmq::load(our_library());
    for socket_type in SOCKET_TYPES {
        let socket = ours.socket(socket_type);
        for &(name, number) in zlink::NOT_BUILT_IN {
            for value in values() {
                assert_eq!(socket.set(number, &value), Err(EINVAL), "{name}");
                assert_eq!(socket.get(number, value.len()), Err(EINVAL), "{name}");
            }
        }
        if socket_type == REP {
            for number in [33, 41, 51, 56, 61, 97] {
                assert_eq!(socket.set(number, &1i32.to_ne_bytes()), Err(EINVAL), "option {number} on REP");
            }
        }
    }
}

#[test]
fn options_of_gssapi_are_refused_in_a_build_without_it() {
    // The library under test has the default features, whichever these tests have; so has the reference.
    let (ours, theirs) = Zmq::pair();
    let (mine, other) = (ours.socket(PUB), theirs.socket(PUB));
    for number in [62, 63, 64, 65, 90, 91] {
        for value in values() {
            let refused = (Err(EINVAL), Err(EINVAL));
            assert_eq!((mine.set(number, &value), other.set(number, &value)), refused, "option {number}");
            let read = (mine.get(number, value.len()), other.get(number, value.len()));
            assert_eq!(read, refused, "option {number}");
        }
    }
}

#[test]
fn what_differs_from_libzmq_on_purpose_does() {
    let (ours, theirs) = Zmq::pair();
    let (mine, other) = (ours.socket(6), theirs.socket(6));
    for credential in [45, 46] {
        let read = |socket: &Socket<'_>| socket.get(43, 4).expect("the mechanism can be read")[8..].to_vec();
        mine.set(credential, b"x").expect("a username and a password");
        assert_eq!(read(&mine), 1i32.to_ne_bytes(), "PLAIN");
        assert_eq!((mine.set(credential, b""), other.set(credential, b"")), (Ok(Vec::new()), Err(EINVAL)));
        assert_eq!(read(&mine), 0i32.to_ne_bytes(), "NULL");
    }
    let long = [b'r'; 256];
    assert_eq!((mine.set(61, &long), other.set(61, &long)), (Err(EINVAL), Ok(Vec::new())), "long routing id");
    mine.set(113, &7i32.to_ne_bytes()).expect("any int is taken");
    let read = [4usize.to_ne_bytes().as_slice(), &7i32.to_ne_bytes()].concat();
    assert_eq!((mine.get(113, 4), other.get(113, 4)), (Ok(read), Err(EINVAL)), "busy poll");
    // ZMQ_HELLO_MSG, ZMQ_DISCONNECT_MSG and ZMQ_HICCUP_MSG of types that say nothing.
    let (mine, other) = (ours.socket(PUB), theirs.socket(PUB));
    for option in [110, 111, 114] {
        assert_eq!((mine.set(option, b"x"), other.set(option, b"x")), (Err(EINVAL), Ok(Vec::new())));
    }
    let (mine, other) = (ours.socket(XSUB), theirs.socket(XSUB));
    assert_eq!((mine.set(115, &[1]), other.set(115, &[1])), (Err(EINVAL), Ok(Vec::new())), "not an int");
    let (mine, other) = (ours.socket(REP), theirs.socket(REP));
    let one = 1i32.to_ne_bytes();
    assert_eq!((mine.set(33, &one), other.set(33, &one)), (Err(EINVAL), Ok(Vec::new())), "ROUTER's");
}

#[test]
fn own_options_read_back_and_keep_their_ranges() {
    let ours = Zmq::load(our_library());
    let cases = [
        (10_000, -1, -1, 1),
        (10_001, 0, 0, 1_000_000),
        (10_002, 0, 0, c_int::MAX),
        (10_003, 262_144, 1, 1 << 24),
    ];
    let read = |value: c_int| Ok([4usize.to_ne_bytes().as_slice(), &value.to_ne_bytes()].concat());
    for socket_type in SOCKET_TYPES {
        let socket = ours.socket(socket_type);
        for (option, default, min, max) in cases {
            assert_eq!(socket.get(option, 4), read(default), "default of {option}");
            for value in [min, max] {
                assert_eq!(
                    socket.set(option, &value.to_ne_bytes()),
                    Ok(Vec::new()),
                    "{option} set to {value}"
                );
                assert_eq!(socket.get(option, 4), read(value));
            }
            for value in [min.checked_sub(1), max.checked_add(1)].into_iter().flatten() {
                assert_eq!(socket.set(option, &value.to_ne_bytes()), Err(EINVAL), "{option} set to {value}");
                assert_eq!(socket.get(option, 4), read(max), "a refused value changes nothing");
            }
        }
    }
}

#[test]
fn context_options_do_what_those_of_libzmq_do() {
    let values = values();
    for option in option_numbers() {
        let (ours, theirs) = Zmq::pair();
        let read = |zmq: &Zmq, size| zmq.get_from(zmq.context, "zmq_ctx_get_ext", option, size);
        let compare = |after: &[u8]| {
            for size in [0, 3, 4, 5, 8, 15, 16, 17] {
                assert_eq!(
                    read(&ours, size),
                    read(&theirs, size),
                    "read of {option} into {size} bytes after {after:?}"
                );
            }
        };
        compare(b"creation");
        for value in &values {
            let set = |zmq: &Zmq| zmq.set_in(zmq.context, "zmq_ctx_set_ext", option, value);
            assert_eq!(set(&ours), set(&theirs), "option {option} set to {value:?}");
            compare(value);
        }
        for value in [-1, 0, 1, 2, 1000] {
            assert_eq!(
                ours.set_context(option, value),
                theirs.set_context(option, value),
                "option {option}: {value}"
            );
            compare(&value.to_ne_bytes());
        }
    }
}

#[test]
fn sockets_start_with_what_their_context_says() {
    let (ours, theirs) = Zmq::pair();
    for (option, value) in [(70, 0), (42, 1)] {
        assert_eq!(ours.set_context(option, value), Ok(Vec::new()));
        assert_eq!(theirs.set_context(option, value), Ok(Vec::new()));
        for socket_type in SOCKET_TYPES {
            let (mine, other) = (ours.socket(socket_type), theirs.socket(socket_type));
            for number in [17, 42, 31] {
                compare_reads(&mine, &other, socket_type, number, b"context option");
            }
        }
    }
}
