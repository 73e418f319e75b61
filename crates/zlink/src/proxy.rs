//! The proxy: passes messages between two sockets.
//!
//! It runs in the calling thread, which sleeps while there is nothing to pass on. Each turn moves up to
//! [`BURST`] messages a direction, so that neither direction, nor the control socket, starves behind the other.
//!
//! Back-pressure: a side is read from only while the other takes messages. When the taker fills up in the
//! middle of a turn, the message in hand is kept and its direction stops until there is room; the other
//! direction goes on, since room may depend on it.

use crate::error::{Error, Result};
use crate::pipe::Sink;
use crate::poller::{Events, PollItem, poll};
use crate::socket::{Socket, Wait};
use zlink_pipe::{Body, Message};
use zlink_zmtp::SocketType;

/// Messages passed on in one direction before the other has its turn.
const BURST: usize = 1000;

/// What a proxy has passed on so far.
///
/// Source: the command `STATISTICS` of `zmq_proxy_steerable`(3), which counts parts as this does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxied {
    /// Message parts received from the frontend.
    pub frontend_received: u64,
    /// Their bytes.
    pub frontend_received_bytes: u64,
    /// Message parts sent to the frontend.
    pub frontend_sent: u64,
    /// Their bytes.
    pub frontend_sent_bytes: u64,
    /// Message parts received from the backend.
    pub backend_received: u64,
    /// Their bytes.
    pub backend_received_bytes: u64,
    /// Message parts sent to the backend.
    pub backend_sent: u64,
    /// Their bytes.
    pub backend_sent_bytes: u64,
}

/// Passes messages from `frontend` to `backend` and back, whole, until the context is terminated or one of the
/// sockets closed. `capture` gets a copy of each; give it a PUB, DEALER, PUSH or PAIR socket. When it is full, the
/// proxy waits for it.
///
/// Returns with an error only. `frontend` and `backend` may be one socket, whose messages then go back to it.
///
/// # Errors
///
/// [`Error::Terminated`], [`Error::Closed`], [`Error::NotSupported`] if a socket's type can neither
/// give nor take what its role asks for, [`Error::Interrupted`] if a signal ended a wait. One that ends a wait for
/// `capture` leaves the part that was passed on last without its copy.
///
/// Source: `zmq_proxy`(3).
pub fn proxy(frontend: &Socket, backend: &Socket, capture: Option<&Socket>) -> Result<()> {
    run(frontend, backend, capture, None).map(drop)
}

/// As [`proxy`], and obeys the messages that come in at `control`: `PAUSE`, `RESUME`, `TERMINATE` and
/// `STATISTICS`. A REP socket replies to all of them with an empty message, and so does any other but PULL and
/// SUB, which cannot. `STATISTICS` is replied to with eight parts of eight bytes each, in the host's byte
/// order, in the order of the fields of [`Proxied`]. Other messages have no effect.
///
/// Returns what was passed on after `TERMINATE`.
///
/// # Errors
///
/// As [`proxy`].
///
/// Source: `zmq_proxy_steerable`(3).
pub fn proxy_steerable(
    frontend: &Socket,
    backend: &Socket,
    capture: Option<&Socket>,
    control: &Socket,
) -> Result<Proxied> {
    run(frontend, backend, capture, Some(control))
}

/// One direction of a proxy.
struct Direction<'a> {
    from: &'a Socket,
    to: &'a Socket,
    capture: Option<&'a Socket>,
    /// The part in hand.
    part: Message,
    /// The part in hand is the first of a message that `to` had no room for.
    held: bool,
    /// `to` took no message when it was last asked.
    blocked: bool,
    parts: u64,
    bytes: u64,
}

impl<'a> Direction<'a> {
    fn new(from: &'a Socket, to: &'a Socket, capture: Option<&'a Socket>) -> Self {
        Direction { from, to, capture, part: Message::new(), held: false, blocked: false, parts: 0, bytes: 0 }
    }

    /// Passes on what is there, up to [`BURST`] messages. Returns whether there may be more at once.
    fn pass_burst(&mut self) -> Result<bool> {
        // A socket that gets its own messages back is not asked: a REP socket, for one, has room only once it
        // has given a message.
        if !std::ptr::eq(self.from, self.to) && !self.to.readiness()?.writable {
            self.blocked = true;
            return Ok(false);
        }
        self.blocked = false;
        for _ in 0..BURST {
            if !self.held {
                match self.receive(Wait::Never) {
                    Ok(()) => {}
                    Err(Error::WouldBlock) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            let mut more = match self.send(Wait::Never) {
                Ok(more) => more,
                Err(Error::WouldBlock) => {
                    self.held = true;
                    self.blocked = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            self.held = false;
            while more {
                // The parts of a message come together, and go to the peer that took the first.
                self.receive(Wait::Block)?;
                more = self.send(Wait::Block)?;
            }
        }
        Ok(true)
    }

    #[inline]
    fn receive(&mut self, wait: Wait) -> Result<()> {
        let more = self.from.receive_into(&mut Sink::Message(&mut self.part), wait)?;
        self.part.set_more(more);
        Ok(())
    }

    /// Sends the part in hand, which stays there on failure. Returns whether another follows.
    #[inline]
    fn send(&mut self, wait: Wait) -> Result<bool> {
        let (more, len) = (self.part.more(), self.part.len() as u64);
        let copy = self.capture.map(|capture| (capture, self.part.clone()));
        self.to.send_body(&mut Body::Message(&mut self.part), more, wait)?;
        if let Some((capture, mut copy)) = copy {
            capture.send_body(&mut Body::Message(&mut copy), more, Wait::Block)?;
        }
        self.parts += 1;
        self.bytes += len;
        Ok(more)
    }

    /// What has to come before more can be passed on.
    fn awaited(&self) -> PollItem<'a> {
        if self.blocked { self.to.as_poll_item(Events::OUT) } else { self.from.as_poll_item(Events::IN) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    Paused,
    Terminated,
}

fn run(
    frontend: &Socket,
    backend: &Socket,
    capture: Option<&Socket>,
    control: Option<&Socket>,
) -> Result<Proxied> {
    let one_socket = std::ptr::eq(frontend, backend);
    let mut forth = Direction::new(frontend, backend, capture);
    let mut back = Direction::new(backend, frontend, capture);
    let mut state = State::Active;
    loop {
        let mut more = false;
        if state == State::Active {
            more = forth.pass_burst()?;
            if !one_socket {
                more |= back.pass_burst()?;
            }
        }
        if let Some(control) = control {
            while state != State::Terminated && obey(control, &mut state, &forth, &back)? {}
            if state == State::Terminated {
                return Ok(proxied(&forth, &back));
            }
        }
        if more {
            continue;
        }
        let mut items = Vec::with_capacity(3);
        items.extend(control.map(|control| control.as_poll_item(Events::IN)));
        if state == State::Active {
            items.push(forth.awaited());
            if !one_socket {
                items.push(back.awaited());
            }
        }
        poll(&mut items, None)?;
    }
}

fn proxied(forth: &Direction<'_>, back: &Direction<'_>) -> Proxied {
    // Nothing is lost between receiving and sending.
    Proxied {
        frontend_received: forth.parts,
        frontend_received_bytes: forth.bytes,
        frontend_sent: back.parts,
        frontend_sent_bytes: back.bytes,
        backend_received: back.parts,
        backend_received_bytes: back.bytes,
        backend_sent: forth.parts,
        backend_sent_bytes: forth.bytes,
    }
}

/// Carries out a command, if there is one.
fn obey(control: &Socket, state: &mut State, forth: &Direction<'_>, back: &Direction<'_>) -> Result<bool> {
    let mut command = Message::new();
    match control.receive_into(&mut Sink::Message(&mut command), Wait::Never) {
        Ok(mut more) => {
            // Commands have one part; what else is there belongs to no other command.
            while more {
                more = control.receive_into(&mut Sink::Message(&mut Message::new()), Wait::Block)?;
            }
        }
        Err(Error::WouldBlock) => return Ok(false),
        Err(error) => return Err(error),
    }
    let replies = !matches!(control.socket_type(), SocketType::Pull | SocketType::Sub);
    match &*command {
        b"PAUSE" => *state = State::Paused,
        b"RESUME" => *state = State::Active,
        b"TERMINATE" => *state = State::Terminated,
        b"STATISTICS" if replies => {
            let all = proxied(forth, back);
            let counts = [
                all.frontend_received,
                all.frontend_received_bytes,
                all.frontend_sent,
                all.frontend_sent_bytes,
                all.backend_received,
                all.backend_received_bytes,
                all.backend_sent,
                all.backend_sent_bytes,
            ];
            control.send_multipart(counts.map(|count| Message::copy_from(&count.to_ne_bytes())))?;
            return Ok(true);
        }
        _ => {}
    }
    if replies {
        control.send(Message::new())?;
    }
    Ok(true)
}
