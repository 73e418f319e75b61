//! A lane: a thread of an actor with one socket, which sends numbered messages, checks those of others, and does to its
//! socket what the director asks for.

mod exchange;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::actor::say;
use super::checker::{Checker, Fault};
use super::feed::{Feed, Rhythm, Sabotage};
use super::link::{Link, Parts, Sent};
use super::message::{Stream, topic};
use super::random::Random;
use super::scene::{Event, Role};
pub(super) use setup::Setup;

/// The longest a lane waits before it looks for commands.
const LOOK: Duration = Duration::from_millis(20);
/// Between two messages that answer the same question of the director's.
const REMINDER: Duration = Duration::from_millis(250);
/// A peer of a ROUTER that was unreachable for so long is forgotten.
const FORGET: Duration = Duration::from_secs(5);
/// Faults that are told of each lane; the rest are as many words for the same.
const MOST_FAULTS: u64 = 10;

/// What the director asks a lane for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Send nothing but messages with this mark, which tell that messages come through.
    Hold(u32),
    /// Send nothing.
    Still,
    /// Send as usual.
    Go,
    /// Do nothing at all for so long.
    Pause(Duration),
    Reopen,
    Reconnect,
    Resubscribe,
}

/// What a lane has done so far, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) runs: AtomicU64,
    /// Sockets opened.
    pub(super) lives: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Going,
    Holding { mark: u32, next: Instant },
    Still,
}

/// A stream, and the peer it goes to if the socket asks for one.
struct Outlet {
    feed: Feed,
    address: Option<Vec<u8>>,
    unreachable_since: Option<Instant>,
}

pub(super) struct Lane {
    setup: Setup,
    link: Link,
    random: Random,
    commands: Receiver<Command>,
    totals: Arc<Totals>,
    mode: Mode,
    outlets: Vec<Outlet>,
    next_outlet: usize,
    rhythm: Rhythm,
    checker: Checker,
    /// What the checkers of earlier lives have counted.
    before: [u64; 2],
    /// The topics that are subscribed to.
    topics: Vec<u8>,
    /// To be done once the stream has been ended.
    pending: VecDeque<Command>,
    /// The marks that were told, by the lane they came from.
    told: Vec<(u32, u64)>,
    branches: u8,
    life: u32,
    faults: u64,
    churn_left: u64,
    tell_seen_at: Instant,
}

impl Lane {
    /// Opens the lane's socket.
    pub(super) fn open(setup: Setup, commands: Receiver<Command>, totals: Arc<Totals>) -> io::Result<Self> {
        let mut random = Random::new(setup.seed ^ (setup.index as u64) << 32);
        let link = setup.socket(0, &mut random)?;
        let mut checker = Checker::new(setup.scene.incoming(setup.side).promise);
        setup.seen.iter().for_each(|&(stream, next)| checker.begin_behind(stream, next));
        let mut lane = Lane {
            link,
            random,
            commands,
            totals,
            mode: Mode::Going,
            outlets: Vec::new(),
            next_outlet: 0,
            rhythm: Rhythm::new(),
            checker,
            before: [0; 2],
            topics: Vec::new(),
            pending: VecDeque::new(),
            told: Vec::new(),
            branches: 0,
            life: 0,
            faults: 0,
            churn_left: 0,
            tell_seen_at: Instant::now(),
            setup,
        };
        lane.begin_life()?;
        Ok(lane)
    }

    fn role(&self) -> Role {
        self.setup.scene.role(self.setup.side)
    }

    /// What a newly opened socket begins with.
    fn begin_life(&mut self) -> io::Result<()> {
        self.totals.lives.fetch_add(1, Ordering::Relaxed);
        self.begin_streams();
        if self.role() == Role::Sub {
            self.topics = (0..self.setup.topics()).collect();
            for number in self.topics.clone() {
                self.link.subscribe(&topic(number), true)?;
            }
        }
        self.churn_left = self.random.below(30);
        Ok(())
    }

    /// New streams for the socket. A ROUTER has one for each peer, once it knows it.
    fn begin_streams(&mut self) {
        self.life += 1;
        self.outlets.clear();
        if self.role().sends() && self.role() != Role::Router {
            let topics = if self.role() == Role::Pub { self.setup.topics() } else { 1 };
            (0..topics).for_each(|topic| self.add_outlet(topic, topic, None));
        }
    }

    fn add_outlet(&mut self, branch: u8, topic: u8, address: Option<Vec<u8>>) {
        let Setup { incarnation, index, scene, sabotage, .. } = &self.setup;
        let stream = Stream::new(*incarnation, *index, branch, self.life);
        let feed = Feed::new(stream, topic, scene.sizes, *sabotage);
        self.outlets.push(Outlet { feed, address, unreachable_since: None });
    }

    /// Goes on until there are no more commands to come.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            match self.commands.try_recv() {
                Err(TryRecvError::Disconnected) => return Ok(()),
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => match self.role() {
                    Role::Req => self.ask()?,
                    Role::Rep => self.answer()?,
                    _ => self.send_and_receive()?,
                },
            }
        }
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Hold(mark) => {
                self.mode = Mode::Holding { mark, next: Instant::now() };
                if self.setup.sabotage == Some(Sabotage::Descriptors) && self.role().receives() {
                    std::mem::forget(std::fs::File::open("/dev/null")?);
                }
            }
            Command::Still => self.mode = Mode::Still,
            Command::Go => {
                self.mode = Mode::Going;
                self.checker.settle();
            }
            Command::Pause(time) => sleep(time),
            Command::Resubscribe => self.resubscribe()?,
            // A stream is ended first, so that its receiver can tell whether all of it came.
            Command::Reopen | Command::Reconnect if self.ends_streams() => self.pending.push_back(command),
            Command::Reopen | Command::Reconnect => self.renew(command)?,
        }
        Ok(())
    }

    fn ends_streams(&self) -> bool {
        self.role().sends() && self.role() != Role::Req && !self.outlets.is_empty()
    }

    /// Opens another socket in place of this one, or connects this one again.
    fn renew(&mut self, command: Command) -> io::Result<()> {
        if command == Command::Reconnect {
            let endpoint = self.setup.endpoint.clone();
            self.link.disconnect(&endpoint)?;
            self.link.connect(&endpoint)?;
            self.begin_streams();
            return Ok(());
        }
        let fresh = self.setup.socket(self.life, &mut self.random)?;
        self.link = fresh;
        self.before[0] += self.checker.lost();
        self.before[1] += self.checker.counts().runs;
        self.checker = self.checker.successor();
        self.begin_life()
    }

    /// Takes back a subscription, or subscribes anew. The first topic stays, for marks.
    fn resubscribe(&mut self) -> io::Result<()> {
        if self.setup.topics() < 2 || self.role() != Role::Sub {
            return Ok(());
        }
        let number = 1 + self.random.below(u64::from(self.setup.topics()) - 1) as u8;
        match self.topics.iter().position(|&known| known == number) {
            Some(at) => {
                self.topics.swap_remove(at);
                self.link.subscribe(&topic(number), false)
            }
            None => {
                self.topics.push(number);
                self.checker.allow_gap(|stream| stream.branch() == number);
                self.link.subscribe(&topic(number), true)
            }
        }
    }

    fn send_and_receive(&mut self) -> io::Result<()> {
        let wait = if self.role().sends() { self.send_next()? } else { LOOK };
        if !self.role().receives() {
            if !wait.is_zero() {
                sleep(wait.min(LOOK));
            }
            return Ok(());
        }
        if let Some(parts) = self.link.receive(wait.min(LOOK))? {
            self.take(parts)?;
        }
        Ok(())
    }

    /// Sends a message if it is time. Returns how long there is nothing to send.
    fn send_next(&mut self) -> io::Result<Duration> {
        if self.outlets.is_empty() {
            return Ok(LOOK);
        }
        if let Some(&command) = self.pending.front() {
            // PUB and PAIR do not reopen: whoever does has one stream.
            if self.send_from(0, true, 0)? {
                self.pending.pop_front();
                self.renew(command)?;
            }
            return Ok(Duration::ZERO);
        }
        match self.mode {
            Mode::Still => Ok(LOOK),
            Mode::Holding { mark, next } => {
                let now = Instant::now();
                if now < next {
                    return Ok(next - now);
                }
                self.mode = Mode::Holding { mark, next: now + REMINDER };
                let marked = |outlet: &Outlet| outlet.feed.topic() == 0;
                for index in 0..self.outlets.len() {
                    if self.outlets.get(index).is_some_and(marked) {
                        self.send_from(index, false, mark)?;
                    }
                }
                Ok(Duration::ZERO)
            }
            Mode::Going => {
                let wait = self.rhythm.wait(&mut self.random);
                if !wait.is_zero() {
                    return Ok(wait);
                }
                self.next_outlet = (self.next_outlet + 1) % self.outlets.len();
                if self.send_from(self.next_outlet, false, 0)? {
                    self.rhythm.sent();
                    self.churn();
                    return Ok(Duration::ZERO);
                }
                Ok(Duration::from_millis(1))
            }
        }
    }

    /// In scenes that ask for it, a socket is closed after some messages.
    fn churn(&mut self) {
        if self.setup.scene.churn && self.ends_streams() {
            match self.churn_left.checked_sub(1) {
                Some(left) => self.churn_left = left,
                None if self.pending.is_empty() => self.pending.push_back(Command::Reopen),
                None => {}
            }
        }
    }

    /// Sends the next message of a stream. Returns false if there is no room for it, or nobody to get it.
    fn send_from(&mut self, index: usize, last: bool, mark: u32) -> io::Result<bool> {
        let outlet = &mut self.outlets[index];
        let head = outlet.feed.next(last, mark);
        // Those that also receive must not wait long.
        let timeout = if self.setup.scene.role(self.setup.side).receives() { Duration::ZERO } else { LOOK };
        let sent = self.link.send(outlet.address.as_deref(), &outlet.feed.parts(&head), timeout)?;
        match sent {
            Sent::Yes => {
                outlet.feed.advance();
                outlet.unreachable_since = None;
                self.totals.sent.fetch_add(1, Ordering::Relaxed);
            }
            Sent::Full => {}
            Sent::Unreachable => {
                let since = *outlet.unreachable_since.get_or_insert_with(Instant::now);
                if since.elapsed() > FORGET {
                    self.outlets.swap_remove(index);
                    self.next_outlet = 0;
                }
            }
        }
        Ok(sent == Sent::Yes)
    }

    /// Takes in a received message.
    fn take(&mut self, mut parts: Parts) -> io::Result<()> {
        if self.role() == Role::Router && !parts.is_empty() {
            let address = parts.remove(0);
            if !self.outlets.iter().any(|outlet| outlet.address.as_deref() == Some(&address[..])) {
                self.branches = self.branches.wrapping_add(1);
                if self.branches == 0 {
                    self.life += 1;
                }
                self.add_outlet(self.branches, 0, Some(address.to_vec()));
            }
        }
        self.check(&parts);
        Ok(())
    }

    /// Checks a received message, counts it, and tells of a mark.
    fn check(&mut self, parts: &Parts) -> bool {
        let result = self.checker.accept(parts).and_then(|head| {
            let unwanted = self.role() == Role::Sub && !self.topics.contains(&head.topic);
            if unwanted { Err(Fault::Unwanted { head }) } else { Ok(head) }
        });
        let counts = self.checker.counts();
        self.totals.received.fetch_add(1, Ordering::Relaxed);
        self.totals.bytes.fetch_add(parts.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
        self.totals.runs.store(self.before[1] + counts.runs, Ordering::Relaxed);
        if counts.messages.is_multiple_of(64) || matches!(self.mode, Mode::Holding { .. }) {
            self.totals.lost.store(self.before[0] + self.checker.lost(), Ordering::Relaxed);
        }
        self.tell_seen();
        match self.setup.sabotage {
            Some(Sabotage::Leak) => std::mem::forget(vec![1_u8; 100]),
            Some(Sabotage::Hang) if counts.messages == 100 => sleep(Duration::from_secs(1_000_000)),
            _ => {}
        }
        match result {
            Ok(head) => {
                if head.mark != 0 {
                    self.tell_mark(head.mark, head.stream.lane());
                }
                true
            }
            Err(fault) => {
                self.tell_fault(&fault.to_string());
                false
            }
        }
    }

    fn tell_mark(&mut self, mark: u32, from: u64) {
        self.told.retain(|(told, _)| *told == mark);
        if !self.told.contains(&(mark, from)) {
            self.told.push((mark, from));
            say(&format!("mark {mark} {} {from}", self.setup.index));
        }
    }

    fn tell_fault(&mut self, fault: &str) {
        self.faults += 1;
        if self.faults <= MOST_FAULTS {
            say(&format!("fault lane {}: {fault}", self.setup.index));
        }
    }

    /// Tells what this receiver has seen, for its successor should the process be killed.
    fn tell_seen(&mut self) {
        let now = Instant::now();
        if self.setup.scene.events.contains(&Event::Kill(self.setup.side)) && now >= self.tell_seen_at {
            self.tell_seen_at = now + LOOK;
            for (Stream(stream), next) in self.checker.recent() {
                say(&format!("seen {stream} {next}"));
            }
        }
    }
}
