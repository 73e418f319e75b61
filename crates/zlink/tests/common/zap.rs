//! ZAP handlers for tests.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use zlink::{Context, Error, Socket, SocketType};

use super::parts;

pub const ENDPOINT: &str = "inproc://zeromq.zap.01";

/// A reply without its delimiter, which a REP socket adds.
pub type Reply = Vec<Vec<u8>>;

/// The reply that 27/ZAP has for this status, user id and metadata, to a request with the usual id.
pub fn reply(status: &str, user_id: &str, metadata: &[u8]) -> Reply {
    [b"1.0", &b"1"[..], status.as_bytes(), b"text for people", user_id.as_bytes(), metadata]
        .map(<[u8]>::to_vec)
        .into()
}

pub fn welcome(_: &[Vec<u8>]) -> Reply {
    reply("200", "joe", b"")
}

/// A handler on a thread of its own, until the context ends.
pub struct Handler {
    thread: Option<JoinHandle<()>>,
    requests: Receiver<Vec<Vec<u8>>>,
}

impl Handler {
    pub fn start(context: &Context, decide: impl FnMut(&[Vec<u8>]) -> Reply + Send + 'static) -> Self {
        let socket = context.socket(SocketType::Rep).expect("socket");
        socket.bind(ENDPOINT).expect("bind");
        let (told, requests) = channel();
        let thread = std::thread::spawn(move || serve(&socket, decide, &told));
        Handler { thread: Some(thread), requests }
    }

    /// The next request: version, id, domain, address, routing id, mechanism, credentials.
    pub fn request(&self) -> Vec<Vec<u8>> {
        self.requests.recv_timeout(super::GUARD).expect("a request")
    }

    /// How many requests there were that nobody has looked at.
    pub fn requests(&self) -> usize {
        self.requests.try_iter().count()
    }

    /// Waits for the handler, whose context has ended.
    pub fn join(mut self) {
        self.thread.take().expect("it runs").join().expect("it has not failed");
    }
}

fn serve(socket: &Socket, mut decide: impl FnMut(&[Vec<u8>]) -> Reply, told: &Sender<Vec<Vec<u8>>>) {
    loop {
        let request = match socket.recv_multipart() {
            Ok(request) => parts(&request),
            Err(Error::Terminated) => return,
            Err(error) => panic!("handler: {error}"),
        };
        let reply = decide(&request);
        let _ = told.send(request);
        match socket.send_multipart(reply) {
            Ok(()) => {}
            Err(error) if matches!(error.error, Error::Terminated) => return,
            Err(error) => panic!("handler: {error}"),
        }
    }
}
