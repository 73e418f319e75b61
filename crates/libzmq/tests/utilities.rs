//! What else `zmq.h` has: version, Z85, counters, timers, stopwatch, threads.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use common::api::*;

mod common;

with_each_library! {
    timers_that_are_late_run_in_the_order_they_were_due,
    old_names_do_the_same,
    z85_goes_there_and_back,
    a_handler_may_cancel_its_own_timer,
    a_stopwatch_counts_microseconds,
}

#[test]
fn the_version_is_that_of_the_interface() {
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    zmq!(zmq_version(&mut major, &mut minor, &mut patch));
    assert_eq!((major, minor, patch), (4, 3, 5));
    zmq!(zmq_version(ptr::null_mut(), ptr::null_mut(), ptr::null_mut()));
}

#[test]
fn capabilities_are_those_that_are_there() {
    let has = |name: &std::ffi::CStr| zmq!(zmq_has(name.as_ptr()));
    assert_eq!((has(c"ipc"), has(c"WS"), has(c"draft"), has(c"curve")), (1, 1, 1, 1));
    assert_eq!((has(c"tipc"), has(c"vsock")), (1, 1));
    assert_eq!(has(c"WSS"), i32::from(cfg!(feature = "wss")));
    // The library under test has the default features, whichever these tests have.
    assert_eq!(has(c"gssapi"), 0);
    assert_eq!((has(c"pgm"), has(c"IPC"), has(c"nonsense"), has(c"")), (0, 0, 0, 0));
    assert_eq!(zmq!(zmq_has(ptr::null())), 0);
}

#[test]
fn keys_without_a_place_are_refused() {
    assert_eq!(zmq!(zmq_curve_keypair(ptr::null_mut(), ptr::null_mut())), -1);
    assert_eq!(zmq!(zmq_curve_public(ptr::null_mut(), ptr::null())), -1);
}

#[test]
fn a_sleep_lasts_as_long_as_it_should() {
    let start = std::time::Instant::now();
    zmq!(zmq_sleep(-1));
    zmq!(zmq_sleep(1));
    assert!(start.elapsed() >= std::time::Duration::from_secs(1));
}

fn old_names_do_the_same() {
    let context = zmq!(zmq_init(1));
    let (push, pull) = (zmq!(zmq_socket(context, PUSH)), zmq!(zmq_socket(context, PULL)));
    assert_done(zmq!(zmq_bind(push, c"inproc://old".as_ptr())));
    assert_done(zmq!(zmq_connect(pull, c"inproc://old".as_ptr())));
    let mut message = Msg::none();
    assert_done(zmq!(zmq_msg_init_buffer(&mut message, b"old".as_ptr().cast(), 3)));
    assert_eq!(zmq!(zmq_sendmsg(push, &mut message, DONTWAIT)), 3);
    assert_eq!(zmq!(zmq_recvmsg(pull, &mut message, 0)), 3);
    assert_done(zmq!(zmq_msg_close(&mut message)));
    let others = [push, pull].map(Shared);
    assert_done(zmq!(zmq_ctx_shutdown(context)));
    assert_fails(zmq!(zmq_device(1, push, pull)), -1, ETERM);
    for socket in others {
        assert_done(zmq!(zmq_close(socket.0)));
    }
    assert_done(zmq!(zmq_term(context)));
    let context = zmq!(zmq_ctx_new());
    assert_done(zmq!(zmq_ctx_destroy(context)));
}

fn z85_goes_there_and_back() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut text = vec![1u8; 321];
    assert!(!zmq!(zmq_z85_encode(text.as_mut_ptr().cast(), bytes.as_ptr(), bytes.len())).is_null());
    assert_eq!(text.last(), Some(&0));
    let mut back = vec![0; 256];
    assert!(!zmq!(zmq_z85_decode(back.as_mut_ptr(), text.as_ptr().cast())).is_null());
    assert_eq!(back, bytes);
    let out = text.as_mut_ptr().cast();
    assert_fails(zmq!(zmq_z85_encode(out, bytes.as_ptr(), 3)), ptr::null_mut(), EINVAL);
    for bad in [c"", c"1234", c"123456", c"12 45", c"#####"] {
        assert_fails(zmq!(zmq_z85_decode(back.as_mut_ptr(), bad.as_ptr())), ptr::null_mut(), EINVAL);
    }
}

#[test]
fn keys_come_in_pairs() {
    let [mut public, mut secret, mut again] = [[1u8; 42]; 3];
    assert_done(zmq!(zmq_curve_keypair(public.as_mut_ptr().cast(), secret.as_mut_ptr().cast())));
    for text in [&public, &secret] {
        assert_eq!(text[40..], [0, 1], "40 characters and a zero byte");
        let mut key = [0; 32];
        assert!(!zmq!(zmq_z85_decode(key.as_mut_ptr(), text.as_ptr().cast())).is_null());
    }
    assert_done(zmq!(zmq_curve_public(again.as_mut_ptr().cast(), secret.as_ptr().cast())));
    assert_eq!(again, public);
    assert_done(zmq!(zmq_curve_keypair(again.as_mut_ptr().cast(), secret.as_mut_ptr().cast())));
    assert_ne!(again, public);
    // The keys of zmq_curve(7).
    let known = c"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
    assert_done(zmq!(zmq_curve_public(again.as_mut_ptr().cast(), known.as_ptr())));
    assert_eq!(&again[..40], b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");

    let out = again.as_mut_ptr().cast();
    for bad in [c"", c"12345", c"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6x", c"#####"] {
        assert_fails(zmq!(zmq_curve_public(out, bad.as_ptr())), -1, EINVAL);
    }
    assert_fails(zmq!(zmq_curve_public(ptr::null_mut(), known.as_ptr())), -1, EFAULT);
    assert_fails(zmq!(zmq_curve_public(out, ptr::null())), -1, EFAULT);
    assert_fails(zmq!(zmq_curve_keypair(ptr::null_mut(), out)), -1, EFAULT);
    assert_fails(zmq!(zmq_curve_keypair(out, ptr::null_mut())), -1, EFAULT);
}

#[test]
fn counters_count_from_several_threads() {
    let counter = Shared(zmq!(zmq_atomic_counter_new()));
    zmq!(zmq_atomic_counter_set(counter.get(), 10));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    zmq!(zmq_atomic_counter_inc(counter.get()));
                }
            });
        }
    });
    assert_eq!(zmq!(zmq_atomic_counter_value(counter.get())), 4010);
    assert_eq!(zmq!(zmq_atomic_counter_inc(counter.get())), 4010, "the value before");
    zmq!(zmq_atomic_counter_set(counter.get(), 2));
    assert_eq!(zmq!(zmq_atomic_counter_dec(counter.get())), 1);
    assert_eq!(zmq!(zmq_atomic_counter_dec(counter.get())), 0, "zero is reached");
    let mut place = counter.get();
    zmq!(zmq_atomic_counter_destroy(&mut place));
    assert!(place.is_null());
    zmq!(zmq_atomic_counter_destroy(&mut place));
    zmq!(zmq_atomic_counter_destroy(ptr::null_mut()));
}

unsafe extern "C" fn count(_id: c_int, argument: *mut c_void) {
    // SAFETY: the tests pass a counter that outlives the timers.
    unsafe { &*argument.cast::<AtomicI32>() }.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn cancel_itself(id: c_int, argument: *mut c_void) {
    assert_done(zmq!(zmq_timers_cancel(argument, id)));
}

#[test]
fn timers_run_when_they_are_due_and_not_before() {
    let mut timers = zmq!(zmq_timers_new());
    assert_eq!(zmq!(zmq_timers_timeout(timers)), -1);
    let (at_once, in_an_hour) = (AtomicI32::new(0), AtomicI32::new(0));
    let argument = |counter: &AtomicI32| ptr::from_ref(counter).cast_mut().cast();
    let first = zmq!(zmq_timers_add(timers, 0, Some(count), argument(&at_once)));
    let second = zmq!(zmq_timers_add(timers, 3_600_000, Some(count), argument(&in_an_hour)));
    assert!(first > 0 && second > first);
    assert_eq!(zmq!(zmq_timers_timeout(timers)), 0);
    assert_done(zmq!(zmq_timers_execute(timers)));
    assert_eq!((at_once.load(Ordering::SeqCst), in_an_hour.load(Ordering::SeqCst)), (1, 0));
    assert_done(zmq!(zmq_timers_set_interval(timers, first, 7_200_000)));
    let left = zmq!(zmq_timers_timeout(timers));
    assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    assert_done(zmq!(zmq_timers_cancel(timers, second)));
    assert!(zmq!(zmq_timers_timeout(timers)) > 3_600_000);
    assert_done(zmq!(zmq_timers_reset(timers, first)));
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
    assert!(timers.is_null());
}

unsafe extern "C" fn note(id: c_int, argument: *mut c_void) {
    // SAFETY: the test passes a list that outlives the timers, and calls from one thread.
    unsafe { &mut *argument.cast::<Vec<c_int>>() }.push(id);
}

fn timers_that_are_late_run_in_the_order_they_were_due() {
    let (mut timers, mut ran) = (zmq!(zmq_timers_new()), Vec::<c_int>::new());
    let list: *mut c_void = (&raw mut ran).cast();
    let [third, first, second] =
        [30, 10, 20].map(|interval| zmq!(zmq_timers_add(timers, interval, Some(note), list)));
    let start = std::time::Instant::now();
    while start.elapsed().as_millis() < 40 {
        std::hint::spin_loop();
    }
    assert_eq!(zmq!(zmq_timers_timeout(timers)), 0);
    assert_done(zmq!(zmq_timers_execute(timers)));
    assert_eq!(ran, [first, second, third]);
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
}

fn a_handler_may_cancel_its_own_timer() {
    let mut timers = zmq!(zmq_timers_new());
    zmq!(zmq_timers_add(timers, 0, Some(cancel_itself), timers));
    assert_done(zmq!(zmq_timers_execute(timers)));
    assert_eq!(zmq!(zmq_timers_timeout(timers)), -1);
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
}

#[test]
fn timers_that_do_not_exist_are_told() {
    let mut timers = zmq!(zmq_timers_new());
    assert_fails(zmq!(zmq_timers_cancel(timers, 1)), -1, EINVAL);
    assert_fails(zmq!(zmq_timers_reset(timers, 1)), -1, EINVAL);
    assert_fails(zmq!(zmq_timers_set_interval(timers, 1, 1)), -1, EINVAL);
    assert_fails(zmq!(zmq_timers_add(timers, 1, None, ptr::null_mut())), -1, EFAULT);
    let old = timers;
    assert_done(zmq!(zmq_timers_destroy(&mut timers)));
    assert_fails(zmq!(zmq_timers_destroy(&mut timers)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_destroy(ptr::null_mut())), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_execute(old)), -1, EFAULT);
    assert_fails(zmq!(zmq_timers_timeout(ptr::null_mut())), -1, EFAULT);
}

fn a_stopwatch_counts_microseconds() {
    let watch = zmq!(zmq_stopwatch_start());
    let start = std::time::Instant::now();
    while start.elapsed().as_micros() < 500 {
        std::hint::spin_loop();
    }
    let first = zmq!(zmq_stopwatch_intermediate(watch));
    let second = zmq!(zmq_stopwatch_stop(watch));
    assert!(first >= 500 && second >= first, "{first}, {second}");
}

unsafe extern "C" fn raise(argument: *mut c_void) {
    // SAFETY: the test passes a counter that outlives the thread.
    unsafe { &*argument.cast::<AtomicI32>() }.store(1, Ordering::SeqCst);
}

#[test]
fn a_thread_has_run_when_it_is_closed() {
    let flag = AtomicI32::new(0);
    let thread = zmq!(zmq_threadstart(Some(raise), ptr::from_ref(&flag).cast_mut().cast()));
    assert!(!thread.is_null());
    zmq!(zmq_threadclose(thread));
    assert_eq!(flag.load(Ordering::SeqCst), 1);
    assert_fails(zmq!(zmq_threadstart(None, ptr::null_mut())), ptr::null_mut(), EFAULT);
    zmq!(zmq_threadclose(ptr::null_mut()));
}
