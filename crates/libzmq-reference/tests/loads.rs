//! The built library is what it says it is.

use std::ffi::{CStr, c_char, c_int};
use std::process::Command;

#[test]
fn the_shared_object_loads_and_reports_version_4_3_5() {
    // SAFETY: libzmq's initialisers only set up static C++ objects and are safe to run in any process.
    let library = unsafe { libloading::Library::new(libzmq_reference::shared_object()) }
        .expect("the build script made a loadable library");
    // SAFETY: the type is the one `zmq.h` of 4.3.5 declares for this function.
    let version =
        unsafe { library.get::<unsafe extern "C" fn(*mut c_int, *mut c_int, *mut c_int)>(b"zmq_version\0") }
            .expect("zmq_version is exported");
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: the three pointers are valid for writes of one `int` each.
    unsafe { version(&mut major, &mut minor, &mut patch) };
    assert_eq!((major, minor, patch), (4, 3, 5));
}

#[test]
fn websocket_and_ipc_are_compiled_in_and_the_draft_functions_are_exported() {
    // SAFETY: as above.
    let library = unsafe { libloading::Library::new(libzmq_reference::shared_object()) }
        .expect("the build script made a loadable library");
    // SAFETY: the type is the one `zmq.h` of 4.3.5 declares for this function.
    let has = unsafe { library.get::<unsafe extern "C" fn(*const c_char) -> c_int>(b"zmq_has\0") }
        .expect("zmq_has is exported");
    let answer = |name: &CStr| {
        // SAFETY: the pointer is to a string that ends in a zero byte and outlives the call.
        unsafe { has(name.as_ptr()) }
    };
    assert_eq!(answer(c"ipc"), 1);
    assert_eq!(answer(c"WS"), 1);
    assert_eq!(answer(c"draft"), 1);
    assert_eq!(answer(c"curve"), i32::from(libzmq_reference::has_curve()));
    assert_eq!(answer(c"WSS"), i32::from(libzmq_reference::has_wss()));
}

#[test]
fn the_soname_is_that_of_the_system_library() {
    let output = Command::new("readelf")
        .arg("-d")
        .arg(libzmq_reference::shared_object())
        .output()
        .expect("binutils come with gcc");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Library soname: [libzmq.so.5]"), "{text}");
}

#[test]
fn the_sources_of_the_performance_programs_and_the_header_are_there() {
    for name in
        ["local_lat", "remote_lat", "local_thr", "remote_thr", "inproc_lat", "inproc_thr", "proxy_thr"]
    {
        assert!(libzmq_reference::perf_sources().join(name).with_extension("cpp").is_file());
    }
    assert!(libzmq_reference::include_dir().join("zmq.h").is_file());
    assert!(libzmq_reference::vendor_dir().join("src/zmq.cpp").is_file());
    assert!(libzmq_reference::library_dir().join("libzmq.so").exists());
}
