//! What the socket tests share: every test over every transport, and peers that speak ZMTP by hand.

#![allow(dead_code, unused_imports)] // Each test binary uses its part.

mod process;
mod raw_peer;
pub mod zap;

pub use process::{Resources, cpu_time, peak_memory, wait_until_asleep};
pub use raw_peer::{RawListener, RawPeer, RawStream, command, frame, greeting, long_frame, ready};

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use zlink::{Context, EventKind, Message, Monitor, MonitorEvent, Socket, SocketType};

/// Ends what would hang. No test depends on how long anything takes.
pub const GUARD: Duration = Duration::from_secs(60);

/// Whether threads of the program read and write themselves.
pub fn direct_io() -> bool {
    cfg!(feature = "direct-io") && std::env::var_os("ZLINK_DIRECT_IO").is_none_or(|value| value != "0")
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Tcp,
    Ipc,
}

impl Transport {
    /// An endpoint to bind, chosen by the system.
    pub fn wildcard(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp://127.0.0.1:*",
            Transport::Ipc => "ipc://*",
        }
    }

    /// An endpoint nobody has bound yet, to connect to first.
    pub fn unbound(self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match self {
            // An address and a port that the system gives to nobody of its own choice.
            Transport::Tcp => {
                let [_, a, b, _] = process.to_be_bytes();
                format!("tcp://127.{}.{b}.{}:{}", a % 100 + 100, number % 250 + 1, 20_000 + number / 250)
            }
            Transport::Ipc => format!("ipc://@zlink-test-{process}-{number}"),
        }
    }
}

/// Runs each test function over each transport, with a guard against hanging.
#[macro_export]
macro_rules! over_tcp_and_ipc {
    ($($name:ident,)+) => {
        mod tcp {
            $(#[test] fn $name() { $crate::common::guarded(|| super::$name($crate::common::Transport::Tcp)) })+
        }
        mod ipc {
            $(#[test] fn $name() { $crate::common::guarded(|| super::$name($crate::common::Transport::Ipc)) })+
        }
    };
}

/// As [`over_tcp_and_ipc`], each run in a process of its own: for what is counted or limited per process.
#[macro_export]
macro_rules! alone_over_tcp_and_ipc {
    ($($name:ident,)+) => {
        mod alone {
            mod tcp {
                $(#[test] fn $name() {
                    let name = concat!("alone::tcp::", stringify!($name));
                    $crate::common::alone(name, || super::super::$name($crate::common::Transport::Tcp))
                })+
            }
            mod ipc {
                $(#[test] fn $name() {
                    let name = concat!("alone::ipc::", stringify!($name));
                    $crate::common::alone(name, || super::super::$name($crate::common::Transport::Ipc))
                })+
            }
        }
    };
}

/// Runs the test called `name` in a process of its own.
pub fn alone(name: &str, test: impl FnOnce() + Send + 'static) {
    const MARK: &str = "ZLINK_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return guarded(test);
    }
    let own = std::env::current_exe().expect("this program");
    let output =
        Command::new(own).args([name, "--exact", "--nocapture"]).env(MARK, "1").output().expect("a child");
    assert!(
        output.status.success(),
        "in its own process: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs `test` and fails if it does not come to an end.
pub fn guarded(test: impl FnOnce() + Send + 'static) {
    let (done, waiter) = channel();
    let runner = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match waiter.recv_timeout(2 * GUARD) {
        // The sender is dropped without a word by a test that failed.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = runner.join() {
                std::panic::resume_unwind(panic);
            }
        }
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs"),
    }
}

/// A socket whose calls fail rather than hang, and that tries again at once when a connection is lost.
pub fn socket(context: &Context, socket_type: SocketType) -> Socket {
    let socket = context.socket(socket_type).expect("socket");
    socket.set_receive_timeout(Some(GUARD)).expect("option");
    socket.set_send_timeout(Some(GUARD)).expect("option");
    socket.set_reconnect_interval(Some(Duration::from_millis(1))).expect("option");
    socket.set_linger(Some(Duration::ZERO)).expect("option");
    socket
}

/// As [`socket`], bound. Returns its endpoint too.
pub fn bound(context: &Context, socket_type: SocketType, transport: Transport) -> (Socket, String) {
    bound_at(context, socket_type, transport.wildcard())
}

/// As [`socket`], bound to `endpoint`. Returns its endpoint with wildcards filled in, too.
pub fn bound_at(context: &Context, socket_type: SocketType, endpoint: &str) -> (Socket, String) {
    let socket = socket(context, socket_type);
    socket.bind(endpoint).expect("bind");
    let endpoint = socket.last_endpoint().expect("endpoint");
    (socket, endpoint)
}

/// As [`socket`], connected.
pub fn connected(context: &Context, socket_type: SocketType, endpoint: &str) -> Socket {
    let socket = socket(context, socket_type);
    socket.connect(endpoint).expect("connect");
    socket
}

/// The events of a socket from now on.
pub fn monitor(socket: &Socket) -> Monitored {
    Monitored(socket.monitor(EventKind::ALL).expect("monitor"))
}

pub struct Monitored(Monitor);

impl Monitored {
    /// Waits for the next event of one of these kinds.
    pub fn wait_for(&self, kinds: &[EventKind]) -> MonitorEvent {
        let deadline = Instant::now() + GUARD;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event =
                self.0.recv_timeout(left).unwrap_or_else(|error| panic!("none of {kinds:?}: {error}"));
            if kinds.contains(&event.kind) {
                return event;
            }
        }
    }
}

/// Waits until `condition` holds, by looking again and again.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + GUARD;
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A body that tells its number and whose every byte can be checked.
pub fn body(number: u32, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..len).map(|i| (i as u32).wrapping_mul(31).wrapping_add(number) as u8).collect();
    let tag = number.to_be_bytes();
    let n = tag.len().min(len);
    bytes[..n].copy_from_slice(&tag[..n]);
    bytes
}

/// The number that [`body`] put in front.
pub fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(*bytes.first_chunk().expect("a numbered body"))
}

/// Parts as byte vectors.
pub fn parts(multipart: &[Message]) -> Vec<Vec<u8>> {
    multipart.iter().map(|part| part.to_vec()).collect()
}
