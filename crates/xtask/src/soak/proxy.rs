//! A proxy between two sides of a scene: passes bytes on as they come, and breaks connections when told to.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often a pump looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// A greeting of ZMTP; a connection that carried no more brought no message.
const GREETING: u64 = 64;

/// A stream socket of either family.
enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What both families do alike.
macro_rules! either {
    ($wire:expr, $stream:ident => $do:expr) => {
        match $wire {
            Wire::Tcp($stream) => $do,
            Wire::Unix($stream) => $do,
        }
    };
}

impl Wire {
    fn set_up(self) -> io::Result<Self> {
        either!(&self, stream => {
            stream.set_read_timeout(Some(LOOK))?;
            stream.set_write_timeout(Some(LOOK))?;
        });
        if let Wire::Tcp(stream) = &self {
            stream.set_nodelay(true)?;
        }
        Ok(self)
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => (&mut &*stream).read(buffer))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => (&mut &*stream).write(bytes))
    }

    fn shutdown(&self, how: Shutdown) {
        // One that is closed already is as wanted.
        let _ = either!(self, stream => stream.shutdown(how));
    }

    fn fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}

/// Where a side listens.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Tcp(String),
    Unix(String),
}

impl Address {
    fn connect(&self) -> io::Result<Wire> {
        match self {
            Address::Tcp(address) => TcpStream::connect(address).map(Wire::Tcp)?.set_up(),
            Address::Unix(path) => UnixStream::connect(path).map(Wire::Unix)?.set_up(),
        }
    }

    /// Connects and sends these bytes, as far as they are taken, and stays for so long.
    pub(super) fn pester(&self, bytes: &[u8], stay: Duration) {
        if let Ok(wire) = self.connect() {
            let _ = wire.write(bytes);
            thread::sleep(stay);
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
            Address::Unix(path) => {
                let _ = fs::remove_file(path);
                UnixListener::bind(path).map(Listener::Unix)
            }
        }
    }

    fn accept(&self) -> io::Result<Wire> {
        match self {
            Listener::Tcp(listener) => Wire::Tcp(listener.accept()?.0).set_up(),
            Listener::Unix(listener) => Wire::Unix(listener.accept()?.0).set_up(),
        }
    }
}

/// How a connection is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// What is on its way is lost, and both sides are told at once.
    Reset,
    /// Both directions are ended; what is on its way is lost.
    Close,
    /// The direction to the bound side is ended, as if its sender had ended it.
    HalfUp,
    HalfDown,
}

/// A connection through the proxy: towards the side that connects, and towards the one that is bound.
struct Passage {
    near: Wire,
    far: Wire,
    over: AtomicBool,
}

impl Passage {
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.near.shutdown(Shutdown::Both);
        self.far.shutdown(Shutdown::Both);
    }
}

#[derive(Default)]
struct Shared {
    passages: Mutex<Vec<Arc<Passage>>>,
    stalled: AtomicBool,
    /// Connections that have carried more than a greeting, up and down.
    carried: [AtomicU64; 2],
}

/// A listening proxy. It lives as long as the process.
#[derive(Clone)]
pub(super) struct Proxy(Arc<Shared>);

impl Proxy {
    /// Passes connections to `from` on to `to`.
    pub(super) fn start(from: &Address, to: Address) -> io::Result<Self> {
        let listener = Listener::bind(from)?;
        let shared = Arc::<Shared>::default();
        let proxy = Proxy(Arc::clone(&shared));
        thread::spawn(move || {
            loop {
                // Whoever connects while nobody is bound, or the process is out of descriptors, tries again.
                match listener.accept() {
                    Ok(near) => drop(to.connect().map(|far| begin(&shared, near, far))),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Ok(proxy)
    }

    /// How many connections have carried more than a greeting: to the bound side, and from it.
    pub(super) fn carried(&self) -> [u64; 2] {
        self.0.carried.each_ref().map(|count| count.load(Ordering::Acquire))
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.passages().len()
    }

    fn passages(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Passage>>> {
        self.0.passages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes nothing on, or goes on passing.
    pub(super) fn stall(&self, stalled: bool) {
        self.0.stalled.store(stalled, Ordering::Release);
    }

    /// Breaks a connection, that of this number among those that there are.
    pub(super) fn cut(&self, number: usize, how: Break) {
        let Some(passage) = self.passages().get(number).map(Arc::clone) else { return };
        match how {
            Break::Reset => {
                for wire in [&passage.near, &passage.far] {
                    // Closing it sends a reset, over TCP; nothing else does.
                    let _ = rustix::net::sockopt::set_socket_linger(wire.fd(), Some(Duration::ZERO));
                }
                passage.over.store(true, Ordering::Release);
            }
            Break::Close => passage.end(),
            Break::HalfUp => passage.far.shutdown(Shutdown::Write),
            Break::HalfDown => passage.near.shutdown(Shutdown::Write),
        }
    }
}

fn begin(shared: &Arc<Shared>, near: Wire, far: Wire) {
    let passage = Arc::new(Passage { near, far, over: AtomicBool::new(false) });
    shared.passages.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&passage));
    let downward = {
        let (shared, passage) = (Arc::clone(shared), Arc::clone(&passage));
        thread::spawn(move || pump(&shared, &passage, &passage.far, &passage.near, 1))
    };
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        pump(&shared, &passage, &passage.near, &passage.far, 0);
        let _ = downward.join();
        // The last to hold it: now it is closed.
        let mut passages = shared.passages.lock().unwrap_or_else(PoisonError::into_inner);
        passages.retain(|other| !Arc::ptr_eq(other, &passage));
    });
}

/// Passes bytes on in one direction until the connection is over.
fn pump(shared: &Shared, passage: &Passage, from: &Wire, to: &Wire, direction: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut carried = 0;
    while let Some(len) = read_some(shared, passage, from, &mut buffer) {
        let before = carried;
        carried += len as u64;
        if before <= GREETING && carried > GREETING {
            shared.carried[direction].fetch_add(1, Ordering::AcqRel);
        }
        if !write_all(passage, to, &buffer[..len]) {
            break;
        }
    }
    if !passage.over.load(Ordering::Acquire) {
        passage.end();
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn read_some(shared: &Shared, passage: &Passage, from: &Wire, buffer: &mut [u8]) -> Option<usize> {
    while !passage.over.load(Ordering::Acquire) {
        if shared.stalled.load(Ordering::Acquire) {
            thread::sleep(LOOK);
            continue;
        }
        match from.read(buffer) {
            Ok(0) => return None,
            Ok(len) => return Some(len),
            Err(error) if is_timeout(&error) => {}
            Err(_) => return None,
        }
    }
    None
}

fn write_all(passage: &Passage, to: &Wire, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if passage.over.load(Ordering::Acquire) {
            return false;
        }
        match to.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if is_timeout(&error) => {}
            Err(_) => return false,
        }
    }
    true
}
