//! The socket types: their numbers, their names on the wire, and which may talk to which.

use std::fmt;

/// A ZeroMQ socket type. The numbers are those of `zmq.h` and of the ZMTP 2.0 greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum SocketType {
    /// Exclusive pair (31/EXPAIR).
    Pair = 0,
    /// Publisher (29/PUBSUB).
    Pub = 1,
    /// Subscriber (29/PUBSUB).
    Sub = 2,
    /// Request (28/REQREP).
    Req = 3,
    /// Reply (28/REQREP).
    Rep = 4,
    /// Asynchronous request (28/REQREP).
    Dealer = 5,
    /// Asynchronous reply, addressed by routing id (28/REQREP).
    Router = 6,
    /// Pipeline sink (30/PIPELINE).
    Pull = 7,
    /// Pipeline source (30/PIPELINE).
    Push = 8,
    /// Publisher that sees subscriptions (29/PUBSUB).
    Xpub = 9,
    /// Subscriber that sends subscriptions as messages (29/PUBSUB).
    Xsub = 10,
    /// Raw TCP. Never spoken over ZMTP.
    Stream = 11,
    /// Thread-safe reply (41/CLISRV).
    Server = 12,
    /// Thread-safe request (41/CLISRV).
    Client = 13,
    /// Group publisher (48/RADIO-DISH).
    Radio = 14,
    /// Group subscriber (48/RADIO-DISH).
    Dish = 15,
    /// Thread-safe sink (49/SCATTERGATHER).
    Gather = 16,
    /// Thread-safe source (49/SCATTERGATHER).
    Scatter = 17,
    /// Datagrams over UDP.
    Dgram = 18,
    /// Thread-safe peer to peer (51/P2P).
    Peer = 19,
    /// Thread-safe exclusive pair (52/CHANNEL).
    Channel = 20,
}

impl SocketType {
    /// All types, in the order of their numbers.
    pub const ALL: [SocketType; 21] = [
        Self::Pair,
        Self::Pub,
        Self::Sub,
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pull,
        Self::Push,
        Self::Xpub,
        Self::Xsub,
        Self::Stream,
        Self::Server,
        Self::Client,
        Self::Radio,
        Self::Dish,
        Self::Gather,
        Self::Scatter,
        Self::Dgram,
        Self::Peer,
        Self::Channel,
    ];

    /// The type with this `zmq.h` number, or `None` outside 0..=20.
    pub const fn from_i32(number: i32) -> Option<Self> {
        if number >= 0 && (number as usize) < Self::ALL.len() {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }

    /// The type with this `Socket-Type` property value. Upper case only, as 37/ZMTP's grammar has it.
    pub fn from_wire(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str().as_bytes() == name)
    }

    /// The name sent in the `Socket-Type` property.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "PAIR",
            Self::Pub => "PUB",
            Self::Sub => "SUB",
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pull => "PULL",
            Self::Push => "PUSH",
            Self::Xpub => "XPUB",
            Self::Xsub => "XSUB",
            Self::Stream => "STREAM",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Radio => "RADIO",
            Self::Dish => "DISH",
            Self::Gather => "GATHER",
            Self::Scatter => "SCATTER",
            Self::Dgram => "DGRAM",
            Self::Peer => "PEER",
            Self::Channel => "CHANNEL",
        }
    }

    /// Whether a socket of this type may talk to a peer of type `peer`. Symmetric.
    ///
    /// Source: 37/ZMTP, "The Socket-Type Property"; DGRAM as libzmq.
    pub const fn is_compatible(self, peer: SocketType) -> bool {
        use SocketType as T;
        match self {
            T::Pair => matches!(peer, T::Pair),
            T::Pub | T::Xpub => matches!(peer, T::Sub | T::Xsub),
            T::Sub | T::Xsub => matches!(peer, T::Pub | T::Xpub),
            T::Req => matches!(peer, T::Rep | T::Router),
            T::Rep => matches!(peer, T::Req | T::Dealer),
            T::Dealer => matches!(peer, T::Rep | T::Dealer | T::Router),
            T::Router => matches!(peer, T::Req | T::Dealer | T::Router),
            T::Pull => matches!(peer, T::Push),
            T::Push => matches!(peer, T::Pull),
            T::Stream => false,
            T::Server => matches!(peer, T::Client),
            T::Client => matches!(peer, T::Server),
            T::Radio => matches!(peer, T::Dish),
            T::Dish => matches!(peer, T::Radio),
            T::Gather => matches!(peer, T::Scatter),
            T::Scatter => matches!(peer, T::Gather),
            T::Dgram => matches!(peer, T::Dgram),
            T::Peer => matches!(peer, T::Peer),
            T::Channel => matches!(peer, T::Channel),
        }
    }

    /// Whether messages of this type always have one part: libzmq's thread-safe types.
    ///
    /// Source: 41/CLISRV, 48/RADIO-DISH, 49/SCATTERGATHER, 51/P2P, 52/CHANNEL.
    pub const fn has_single_parts(self) -> bool {
        matches!(
            self,
            Self::Server
                | Self::Client
                | Self::Radio
                | Self::Dish
                | Self::Gather
                | Self::Scatter
                | Self::Peer
                | Self::Channel
        )
    }

    /// Whether this type announces its routing id in READY: REQ, DEALER and ROUTER.
    ///
    /// Source: 37/ZMTP, "The Identity Property".
    pub const fn announces_routing_id(self) -> bool {
        matches!(self, Self::Req | Self::Dealer | Self::Router)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of 37/ZMTP, "The Socket-Type Property", row by row, with STREAM and DGRAM added.
    const COMPATIBLE: [(&str, &[&str]); 21] = [
        ("PAIR", &["PAIR"]),
        ("PUB", &["SUB", "XSUB"]),
        ("SUB", &["PUB", "XPUB"]),
        ("REQ", &["REP", "ROUTER"]),
        ("REP", &["REQ", "DEALER"]),
        ("DEALER", &["REP", "DEALER", "ROUTER"]),
        ("ROUTER", &["REQ", "DEALER", "ROUTER"]),
        ("PULL", &["PUSH"]),
        ("PUSH", &["PULL"]),
        ("XPUB", &["SUB", "XSUB"]),
        ("XSUB", &["PUB", "XPUB"]),
        ("STREAM", &[]),
        ("SERVER", &["CLIENT"]),
        ("CLIENT", &["SERVER"]),
        ("RADIO", &["DISH"]),
        ("DISH", &["RADIO"]),
        ("GATHER", &["SCATTER"]),
        ("SCATTER", &["GATHER"]),
        ("DGRAM", &["DGRAM"]),
        ("PEER", &["PEER"]),
        ("CHANNEL", &["CHANNEL"]),
    ];

    #[test]
    fn compatibility_is_the_table_of_rfc_37_and_symmetric() {
        for (ours, legal) in COMPATIBLE {
            let ours = SocketType::from_wire(ours.as_bytes()).unwrap();
            for peer in SocketType::ALL {
                assert_eq!(ours.is_compatible(peer), legal.contains(&peer.as_str()), "{ours} with {peer}");
                assert_eq!(ours.is_compatible(peer), peer.is_compatible(ours), "{ours} with {peer}");
            }
        }
    }

    #[test]
    fn numbers_and_names_convert_both_ways() {
        for (number, (name, _)) in (0..).zip(COMPATIBLE) {
            let socket_type = SocketType::from_i32(number).unwrap();
            assert_eq!(socket_type as i32, number);
            assert_eq!(socket_type.as_str(), name);
            assert_eq!(socket_type.to_string(), name);
            assert_eq!(SocketType::from_wire(name.as_bytes()), Some(socket_type));
        }
    }

    #[test]
    fn numbers_and_names_that_are_not_types_give_none() {
        for number in [i32::MIN, -1, 21, 255, i32::MAX] {
            assert_eq!(SocketType::from_i32(number), None);
        }
        for name in [&b""[..], b"PU", b"PUBX", b"pub", b"Pub", b"PUB\0", b" PUB", b"\xff\xfe"] {
            assert_eq!(SocketType::from_wire(name), None, "{}", name.escape_ascii());
        }
    }
}
