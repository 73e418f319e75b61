//! Where sockets meet.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Socket, Type};

/// The family of TIPC's sockets, in `linux/socket.h`.
const AF_TIPC: i32 = 30;

/// A transport between processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP over the loopback interface.
    Tcp,
    /// Unix domain sockets.
    Ipc,
    /// WebSocket over TCP.
    Ws,
    /// TIPC, on kernels that have it.
    Tipc,
}

impl Transport {
    /// Those that carry ZMTP as it is.
    pub const PLAIN: [Transport; 2] = [Transport::Tcp, Transport::Ipc];

    /// All that every system has.
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Ipc, Transport::Ws];

    /// An endpoint to bind, whose rest the system chooses.
    pub fn wildcard(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp://127.0.0.1:*",
            Transport::Ipc => "ipc://*",
            Transport::Ws => "ws://127.0.0.1:*/interop",
            Transport::Tipc => "tipc://<*>",
        }
    }

    /// Whether the system has it. Says so where a test does not run.
    pub fn is_there(self) -> bool {
        let there = match self {
            Transport::Tcp | Transport::Ipc | Transport::Ws => true,
            Transport::Tipc => Socket::new(Domain::from(AF_TIPC), Type::STREAM, None).is_ok(),
        };
        if !there {
            eprintln!("not run: no {self} here; crates/xtask/guest/run.sh starts a system that has it");
        }
        there
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Ipc => "ipc",
            Transport::Ws => "ws",
            Transport::Tipc => "tipc",
        })
    }
}

/// A place that can be bound again and again, and that nobody else binds meanwhile. Files go with it.
#[derive(Debug)]
pub struct Place {
    endpoint: String,
    folder: Option<PathBuf>,
}

impl Place {
    /// Makes one.
    ///
    /// With TCP, WebSocket included, it has a loopback address of its own, so that the system gives its port to nobody while it
    /// is unbound: those who leave the choice of port to the system do so on 127.0.0.1.
    pub fn new(transport: Transport) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match transport {
            Transport::Tcp | Transport::Ws => {
                let (a, b, c) = (1 + process / 250 % 250, 1 + process % 250, 1 + number % 250);
                let port = 5000 + number / 250;
                Place { endpoint: format!("{transport}://127.{a}.{b}.{c}:{port}"), folder: None }
            }
            Transport::Tipc => {
                let instance = process << 8 | number;
                Place { endpoint: format!("tipc://{{7200,{instance}}}"), folder: None }
            }
            Transport::Ipc => {
                let folder = std::env::temp_dir().join(format!("zlink-interop-{process}-{number}"));
                std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
                Place { endpoint: format!("ipc://{}", folder.join("socket").display()), folder: Some(folder) }
            }
        }
    }

    /// The endpoint, for bind and connect.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
