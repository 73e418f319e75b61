//! What a lane is told when it is made, and how its sockets are made of that.

use std::io;
use std::sync::Arc;

use crate::soak::feed::Sabotage;
use crate::soak::link::{Contexts, Link};
use crate::soak::message::Stream;
use crate::soak::random::Random;
use crate::soak::scene::{Event, Role, Scene, Side};

#[derive(Clone)]
pub(in crate::soak) struct Setup {
    pub(in crate::soak) scene: &'static Scene,
    pub(in crate::soak) side: Side,
    /// The lane's number within its process.
    pub(in crate::soak) index: usize,
    /// The process's number within the run; no two have the same.
    pub(in crate::soak) incarnation: u32,
    pub(in crate::soak) seed: u64,
    pub(in crate::soak) endpoint: String,
    pub(in crate::soak) contexts: Arc<Contexts>,
    /// What the processes before this one had received, up to which number of each stream.
    pub(in crate::soak) seen: Vec<(Stream, u64)>,
    pub(in crate::soak) sabotage: Option<Sabotage>,
}

impl Setup {
    /// How many topics a publisher has: one for all where subscriptions do not change.
    pub(in crate::soak) fn topics(&self) -> u8 {
        if self.scene.events.contains(&Event::Resubscribe) { 4 } else { 1 }
    }

    /// Opens the lane's socket for its `life`th life.
    pub(in crate::soak) fn socket(&self, life: u32, random: &mut Random) -> io::Result<Link> {
        let role = self.scene.role(self.side);
        let mut link = Link::open(&self.contexts, self.scene.library(self.side), role)?;
        let marks = [1, 2, 10, 100, 1000];
        link.set_marks(*random.pick(&marks), *random.pick(&marks))?;
        match role {
            Role::Router => link.set_strict_router()?,
            Role::Dealer => {
                // One name for all lives of the process's connections, another for another socket.
                link.set_routing_id(format!("{}-{}-{life}", self.incarnation, self.index).as_bytes())?;
            }
            Role::Req if self.scene.loses_requests() => link.set_relaxed()?,
            Role::Pub if self.scene.no_drop => link.set_no_drop()?,
            _ => {}
        }
        if self.scene.curve {
            link.set_curve(self.side == Side::Bound)?;
        }
        match self.side {
            Side::Bound => link.bind(&self.endpoint)?,
            Side::Connected => link.connect(&self.endpoint)?,
        }
        Ok(link)
    }
}
