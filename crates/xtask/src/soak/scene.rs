//! The scenes: which sockets talk with which, what happens to them, and what their messages keep to all the same.
//!
//! # What is promised
//!
//! Always: a message that arrives is one that was sent, all of its parts as they were sent, in order; and it arrives
//! once. What else holds depends on what happens to the connection. Sources: the manual pages `zmq_socket`,
//! `zmq_setsockopt` (`ZMQ_LINGER`, `ZMQ_SNDHWM`, `ZMQ_XPUB_NODROP`) and `zmq_disconnect`, ARCHITECTURE.md ("One message
//! out", "The end of things"), and for the order what follows from them:
//!
//! * **While a connection lasts**, nothing is lost and nothing changes places, however long a receiver pauses, at
//!   high-water marks of 1 as of 1000: the types that wait for room (PUSH, DEALER, PAIR, REQ, ROUTER with
//!   `ZMQ_ROUTER_MANDATORY`, XPUB with `ZMQ_XPUB_NODROP`) wait. [`Promise::Whole`]; all that was sent has been received
//!   when the scene is quiet. A subscriber sees what comes after its subscription: [`Promise::Run`].
//! * **A publisher that does not wait** drops whole messages for a peer at its mark: [`Promise::Rising`].
//! * **A socket that is closed or disconnected**, with no linger limit, has all it took delivered first; over ipc, if its
//!   peer reads it within a second or sends nothing. What it had not
//!   received is gone with it, and what peers had queued for it: so the other way is a [`Promise::Run`] only.
//! * **A connection that breaks** takes with it what the kernel has accepted and the peer has not received. What was not
//!   wholly written goes out again, from its start, over the next one; since no peer has received it whole, nothing is
//!   doubled. So each connection carries a run without a gap: [`Promise::Runs`], and there are no more runs than there
//!   were connections. A socket that binds has a pipe for each connection and reads them in turn, so that the runs of two
//!   connections may mix (`side_by_side`); a socket that connects has one pipe, in which they come in order. What a
//!   socket that binds has queued for a connection is lost with it.
//! * **A process that is killed** takes with it what its queues hold. What others receive of its stream is a run that
//!   ends anywhere; its successor sees of their streams a run that begins anywhere, behind all that it had reported.
//! * **A REQ** that may ask anew (`ZMQ_REQ_RELAXED`, `ZMQ_REQ_CORRELATE`) gets the answer to its last question or none.
//!   Without these and without faults, it gets the answer.
//! * **PUSH with several peers** hands each message to one of them: each sees [`Promise::Rising`], together they see all.

use super::checker::Promise;
use super::message::Sizes;

/// What a lane does. Each lane is a thread with a socket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Push,
    Pull,
    Pair,
    Dealer,
    Router,
    Req,
    Rep,
    Pub,
    Sub,
}

impl Role {
    /// Sends streams of its own: not a REP, which sends back what it got.
    pub(super) fn sends(self) -> bool {
        !matches!(self, Role::Pull | Role::Sub | Role::Rep)
    }

    /// Receives streams of others: not a REQ, which receives its own back.
    pub(super) fn receives(self) -> bool {
        !matches!(self, Role::Push | Role::Pub | Role::Req)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Ipc,
    /// Both sides in one process.
    Inproc,
    Ws,
}

/// Whose sockets a side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    Zlink,
    Libzmq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Bound,
    Connected,
}

/// What happens, at random times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A lane that receives pauses.
    Stall,
    /// A process is stopped (`SIGSTOP`) for a while.
    Stop,
    /// The process of that side is killed (`SIGKILL`) and started again.
    Kill(Side),
    /// The proxy between the two resets connections, closes them, closes one direction, or passes nothing on for a while.
    Cut,
    /// A socket that connects is closed, and another opened.
    Reopen,
    /// A socket disconnects from its endpoint and connects again.
    Reconnect,
    /// A subscriber takes subscriptions back and subscribes anew.
    Resubscribe,
    /// A stranger connects to the bound endpoint and sends what is no ZMTP.
    Garbage,
}

/// What the messages in one direction keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) promise: Promise,
    /// All that was sent has been received once the scene is quiet.
    pub(super) complete: bool,
}

/// A scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) bound: Role,
    pub(super) connected: Role,
    /// Lanes on the connected side; the bound side has one.
    pub(super) lanes: usize,
    pub(super) transport: Transport,
    pub(super) libraries: [Library; 2],
    pub(super) curve: bool,
    pub(super) no_drop: bool,
    pub(super) sizes: Sizes,
    /// Sockets are opened and closed all the time.
    pub(super) churn: bool,
    pub(super) events: &'static [Event],
    /// From the connected side to the bound one.
    pub(super) up: Way,
    pub(super) down: Way,
}

impl Scene {
    /// Whether connections go through the soak's proxy.
    pub(super) fn is_proxied(&self) -> bool {
        self.events.contains(&Event::Cut)
    }

    /// Whether all runs in one process.
    pub(super) fn is_alone(&self) -> bool {
        self.transport == Transport::Inproc
    }

    pub(super) fn role(&self, side: Side) -> Role {
        match side {
            Side::Bound => self.bound,
            Side::Connected => self.connected,
        }
    }

    pub(super) fn library(&self, side: Side) -> Library {
        self.libraries[side as usize]
    }

    pub(super) fn lanes(&self, side: Side) -> usize {
        if side == Side::Bound { 1 } else { self.lanes }
    }

    /// What the messages that a side receives keep to.
    pub(super) fn incoming(&self, side: Side) -> Way {
        if side == Side::Bound { self.up } else { self.down }
    }

    /// Whether a request may go unanswered.
    pub(super) fn loses_requests(&self) -> bool {
        !self.up.complete
    }

    /// Pairs of a sender and a receiver that a message must come through between.
    pub(super) fn pairs(&self) -> usize {
        let up = if self.connected.sends() { self.lanes } else { 0 };
        let down = match self.bound {
            // Whichever of its peers gets it.
            Role::Push => 1,
            role if role.sends() => self.lanes,
            _ => 0,
        };
        up + down
    }
}

const WHOLE: Way = Way { promise: Promise::Whole, complete: true };
const SHARED: Way = Way { promise: Promise::Rising, complete: true };
const RISING: Way = Way { promise: Promise::Rising, complete: false };
const RUN: Way = Way { promise: Promise::Run { also: 0 }, complete: false };
/// As a socket that binds sees it, and as one that connects does.
const RUNS_BOUND: Way = Way { promise: Promise::Runs { side_by_side: true }, complete: false };
const RUNS_CONNECTED: Way = Way { promise: Promise::Runs { side_by_side: false }, complete: false };

const ZLINK: [Library; 2] = [Library::Zlink; 2];

/// A PULL that binds and a PUSH that connects, over TCP, undisturbed.
const PLAIN: Scene = Scene {
    name: "",
    bound: Role::Pull,
    connected: Role::Push,
    lanes: 1,
    transport: Transport::Tcp,
    libraries: ZLINK,
    curve: false,
    no_drop: false,
    sizes: Sizes::Mixed,
    churn: false,
    events: &[Event::Stall, Event::Stop],
    up: WHOLE,
    down: WHOLE,
};

const ROUTER: Scene = Scene { bound: Role::Router, connected: Role::Dealer, lanes: 3, ..PLAIN };
const REQ_REP: Scene = Scene { bound: Role::Rep, connected: Role::Req, lanes: 3, ..PLAIN };
const PUB_SUB: Scene =
    Scene { bound: Role::Pub, connected: Role::Sub, lanes: 3, no_drop: true, down: RUN, ..PLAIN };
const PAIR: Scene = Scene { bound: Role::Pair, connected: Role::Pair, ..PLAIN };

use Event::{Cut, Garbage, Kill, Reconnect, Reopen, Resubscribe, Stall, Stop};
use Library::{Libzmq, Zlink};
use Transport::{Inproc, Ipc, Tcp, Ws};

/// All scenes.
pub(super) const SCENES: &[Scene] = &[
    Scene { name: "push-tcp", events: &[Stall, Stop, Reopen, Reconnect, Garbage], ..PLAIN },
    Scene { name: "push-ipc", transport: Ipc, events: &[Stall, Stop, Reopen, Reconnect, Garbage], ..PLAIN },
    Scene { name: "push-ws", transport: Ws, events: &[Stall, Stop, Reopen, Garbage], ..PLAIN },
    Scene { name: "push-inproc", transport: Inproc, events: &[Stall, Stop, Reopen, Reconnect], ..PLAIN },
    Scene { name: "push-curve", curve: true, events: &[Stall, Stop, Reopen, Garbage], ..PLAIN },
    Scene { name: "push-small", sizes: Sizes::Small, events: &[Stall], ..PLAIN },
    Scene { name: "push-large-ipc", transport: Ipc, sizes: Sizes::Large, events: &[Stall, Stop], ..PLAIN },
    Scene {
        name: "churn-tcp",
        lanes: 2,
        sizes: Sizes::Small,
        churn: true,
        events: &[Stall, Garbage],
        ..PLAIN
    },
    Scene {
        name: "churn-ipc",
        lanes: 2,
        sizes: Sizes::Mixed,
        transport: Ipc,
        churn: true,
        events: &[Stall],
        ..PLAIN
    },
    Scene { name: "fan-in-cut", lanes: 3, events: &[Stall, Stop, Cut], up: RUNS_BOUND, ..PLAIN },
    Scene { name: "fan-in-cut-ws", lanes: 2, transport: Ws, events: &[Stall, Cut], up: RUNS_BOUND, ..PLAIN },
    Scene {
        name: "fan-out-ipc",
        bound: Role::Push,
        connected: Role::Pull,
        lanes: 3,
        transport: Ipc,
        down: SHARED,
        ..PLAIN
    },
    Scene {
        name: "pull-cut-ipc",
        bound: Role::Push,
        connected: Role::Pull,
        transport: Ipc,
        events: &[Stall, Stop, Cut],
        down: RUNS_CONNECTED,
        ..PLAIN
    },
    Scene { name: "kill-pull", events: &[Stall, Kill(Side::Bound)], up: RUN, ..PLAIN },
    Scene {
        name: "kill-push",
        lanes: 2,
        transport: Ipc,
        events: &[Stall, Kill(Side::Connected)],
        up: RUN,
        ..PLAIN
    },
    Scene { name: "router-tcp", events: &[Stall, Stop, Garbage], ..ROUTER },
    Scene { name: "router-inproc", transport: Inproc, events: &[Stall, Reopen], down: RUN, ..ROUTER },
    // A DEALER that is closed waits a second for the ROUTER to read; then what that sends to it ends the connection.
    Scene {
        name: "router-reopen-ipc",
        transport: Ipc,
        events: &[Stall, Reopen],
        up: RUN,
        down: RUN,
        ..ROUTER
    },
    Scene {
        name: "router-cut-curve",
        curve: true,
        events: &[Stall, Stop, Cut],
        up: RUNS_BOUND,
        down: RUNS_CONNECTED,
        ..ROUTER
    },
    Scene { name: "router-kill", events: &[Stall, Kill(Side::Bound)], up: RUN, down: RUN, ..ROUTER },
    Scene { name: "req-ipc", transport: Ipc, events: &[Stall, Stop, Reopen], ..REQ_REP },
    Scene { name: "req-cut", events: &[Stall, Cut], up: RUNS_BOUND, ..REQ_REP },
    Scene { name: "req-kill", transport: Ipc, events: &[Kill(Side::Bound)], up: RUN, ..REQ_REP },
    Scene { name: "pub-tcp", events: &[Stall, Stop, Reopen, Resubscribe], ..PUB_SUB },
    Scene { name: "pub-inproc", transport: Inproc, events: &[Stall, Resubscribe], ..PUB_SUB },
    Scene { name: "pub-cut-tcp", events: &[Stall, Cut], down: RUNS_CONNECTED, ..PUB_SUB },
    Scene {
        name: "pub-drop-ipc",
        transport: Ipc,
        no_drop: false,
        events: &[Stall, Stop, Resubscribe, Reopen],
        down: RISING,
        ..PUB_SUB
    },
    Scene { name: "pair-tcp", ..PAIR },
    Scene { name: "pair-ipc", transport: Ipc, ..PAIR },
    Scene { name: "pair-inproc", transport: Inproc, events: &[Stall], ..PAIR },
    Scene { name: "libzmq-push", libraries: [Zlink, Libzmq], ..PLAIN },
    Scene { name: "libzmq-pull", libraries: [Libzmq, Zlink], transport: Tcp, ..PLAIN },
    Scene { name: "libzmq-dealer", libraries: [Zlink, Libzmq], transport: Ipc, ..ROUTER },
    Scene { name: "libzmq-sub", libraries: [Zlink, Libzmq], events: &[Stall, Stop, Resubscribe], ..PUB_SUB },
];
