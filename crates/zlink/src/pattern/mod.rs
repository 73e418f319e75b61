//! What makes a socket type: whom a message goes to, whom the next one comes from, and what either adds.
//!
//! A pattern is called under its socket's lock and never waits. It names pipes by index. When a pipe comes,
//! goes, has something to read or has room again, the socket tells it so; a pattern that found a pipe
//! without input or room leaves it alone until then.

mod announcer;
mod dealer;
mod dgram;
mod dish;
mod distributor;
mod fair_queue;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod load_balancer;
mod pair;
mod publish;
mod pull;
mod push;
mod radio;
mod rep;
mod req;
mod router;
mod server;
mod subscribe;
mod subscriptions;
#[cfg(test)]
pub(crate) mod testing;

use zlink_pipe::Body;
use zlink_zmtp::SocketType;

use crate::error::Error;
use crate::option::SocketOptions;
use crate::pipe::{Pipes, Sink};
use fair_queue::FairQueue;
use load_balancer::LoadBalancer;

/// Why a pattern did not send or receive.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Not now; the socket waits for news and asks again.
    Blocked,
    /// Not at all. In a box: what a call returns on every message then fits a register.
    Failed(Box<Error>),
}

impl Refusal {
    /// The error, if it is more than "not now".
    #[cfg(test)]
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Refusal::Blocked => None,
            Refusal::Failed(error) => Some(error),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Failed(Box::new(error))
    }
}

pub(crate) trait Pattern: Send {
    /// A pipe has come. Returns false to refuse it: the socket closes it then.
    fn attached(&mut self, pipes: &mut Pipes, pipe: usize) -> bool;

    /// A pipe is about to go. Its unread input is gone.
    fn detached(&mut self, pipes: &mut Pipes, pipe: usize);

    /// A pipe may have something to read.
    fn readable(&mut self, pipes: &mut Pipes, pipe: usize);

    /// A pipe may have room.
    fn writable(&mut self, pipes: &mut Pipes, pipe: usize);

    /// The connection behind a pipe that outlives connections is up, and not for the first time.
    fn reconnected(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    /// The connection behind a pipe that outlives connections was lost.
    fn disconnected(&mut self, _pipes: &mut Pipes, _pipe: usize) {}

    /// Sends one part. `body` is taken or copied only on success.
    fn send(&mut self, pipes: &mut Pipes, body: &mut Body<'_>, more: bool) -> Result<(), Refusal>;

    /// Receives one part into `sink`. Returns whether another follows.
    fn receive(&mut self, pipes: &mut Pipes, sink: &mut Sink<'_>) -> Result<bool, Refusal>;

    /// Whether `send` would not be refused as blocked (`ZMQ_POLLOUT`).
    fn can_send(&mut self, pipes: &mut Pipes) -> bool;

    /// Whether `receive` would not be refused as blocked (`ZMQ_POLLIN`).
    fn can_receive(&mut self, pipes: &mut Pipes) -> bool;

    /// The socket's options have changed: take over those that concern the pattern.
    fn configure(&mut self, _options: &SocketOptions) {}

    /// The socket has no use for input: what peers send is dropped.
    fn ignores_input(&self) -> bool {
        false
    }

    /// Whom a message goes to depends on what peers have sent before.
    fn sends_by_input(&self) -> bool {
        false
    }

    /// Adds or takes back a subscription (`ZMQ_SUBSCRIBE`, `ZMQ_UNSUBSCRIBE`).
    fn subscribe(&mut self, _pipes: &mut Pipes, _topic: &[u8], _add: bool) -> Result<(), Error> {
        Err(Error::InvalidArgument)
    }

    /// The routing id that the next connected peer is known by (`ZMQ_CONNECT_ROUTING_ID`).
    fn name_next_peer(&mut self, _routing_id: &[u8]) -> Result<(), Error> {
        Err(Error::InvalidArgument)
    }

    /// The name that the pattern has given to the peer attached last, if its socket is to tell it (`ZMQ_ROUTING_ID`).
    fn name_given(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Joins a group, or leaves it (`zmq_join`, `zmq_leave`).
    fn join(&mut self, _pipes: &mut Pipes, _group: &[u8], _add: bool) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// The number that messages are addressed to a pipe with (SERVER, PEER).
    fn routing_id(&self, _pipe: usize) -> Option<u32> {
        None
    }

    /// The pipe that messages with this number go to (SERVER, PEER).
    fn pipe_of(&self, _routing_id: u32) -> Result<usize, Error> {
        Err(Error::NotSupported)
    }

    /// Whether there is room for a message to the peer of that name (`zmq_socket_get_peer_state`).
    fn peer_has_room(&self, _pipes: &mut Pipes, _routing_id: &[u8]) -> Result<bool, Error> {
        Err(Error::NotSupported)
    }

    /// Distinct subscriptions (`ZMQ_TOPICS_COUNT`).
    fn topics(&self) -> Result<usize, Error> {
        Err(Error::InvalidArgument)
    }
}

/// The pattern of a socket type.
pub(crate) fn new(socket_type: SocketType) -> Box<dyn Pattern> {
    match socket_type {
        SocketType::Pair => Box::new(<pair::Pair>::default()),
        SocketType::Req => Box::new(req::Req::default()),
        SocketType::Rep => Box::new(rep::Rep::default()),
        SocketType::Dealer => Box::new(<dealer::Dealer>::default()),
        SocketType::Router => Box::new(router::Router::default()),
        SocketType::Push => Box::new(<push::Push>::default()),
        SocketType::Pull => Box::new(<pull::Pull>::default()),
        SocketType::Pub => Box::new(publish::Publisher::publish()),
        SocketType::Xpub => Box::new(publish::Publisher::extended()),
        SocketType::Sub => Box::new(subscribe::Subscriber::subscribe()),
        SocketType::Xsub => Box::new(subscribe::Subscriber::extended()),
        SocketType::Server | SocketType::Peer => Box::new(server::Server::default()),
        SocketType::Client => Box::new(dealer::Client::default()),
        SocketType::Radio => Box::new(radio::Radio::default()),
        SocketType::Dish => Box::new(dish::Dish::default()),
        SocketType::Gather => Box::new(pull::Gather::default()),
        SocketType::Scatter => Box::new(push::Scatter::default()),
        SocketType::Channel => Box::new(pair::Channel::default()),
        SocketType::Stream => Box::new(router::Router::stream()),
        SocketType::Dgram => Box::new(dgram::Dgram::default()),
    }
}
