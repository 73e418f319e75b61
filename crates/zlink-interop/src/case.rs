//! Who talks to whom, whose library each is, and who binds.

use std::fmt;

use zlink::SocketType;

use crate::node::Library;
use crate::place::Transport;

/// Two socket types that talk to each other. The first is the one that speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// The client, sender or publisher.
    pub a: SocketType,
    /// The server, receiver or subscriber.
    pub b: SocketType,
}

/// Who may speak when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Only A.
    OneWay,
    /// A asks, B answers each question.
    Turns,
    /// Either as it likes.
    Free,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first of the pairing.
    A,
    /// The second.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

impl Pairing {
    /// Who may speak when.
    pub fn flow(self) -> Flow {
        match (self.a, self.b) {
            (SocketType::Push | SocketType::Pub | SocketType::Xpub, _) => Flow::OneWay,
            (SocketType::Scatter | SocketType::Radio, _) => Flow::OneWay,
            (SocketType::Req, _) | (_, SocketType::Rep) => Flow::Turns,
            _ => Flow::Free,
        }
    }

    /// The type of one side.
    pub fn socket_type(self, side: Side) -> SocketType {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }

    /// Every way in which the two libraries can meet over this transport.
    pub fn cases(self, transport: Transport) -> impl Iterator<Item = Case> {
        Side::BOTH.into_iter().flat_map(move |zlink| {
            Side::BOTH.into_iter().map(move |bound| Case { pairing: self, zlink, bound, transport })
        })
    }
}

/// One way for the two libraries to meet.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The socket types.
    pub pairing: Pairing,
    /// Which side is zlink's; the other is libzmq's.
    pub zlink: Side,
    /// Which side binds; the other connects.
    pub bound: Side,
    /// Over what.
    pub transport: Transport,
}

impl Case {
    /// Whose library a side is.
    pub fn library(&self, side: Side) -> Library {
        if side == self.zlink { Library::Zlink } else { Library::Libzmq }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connecting = self.bound.other();
        write!(
            f,
            "{} {} connects to {} {} over {}",
            self.library(connecting),
            self.pairing.socket_type(connecting).as_str(),
            self.library(self.bound),
            self.pairing.socket_type(self.bound).as_str(),
            self.transport
        )
    }
}
