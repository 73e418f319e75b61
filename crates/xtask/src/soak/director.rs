//! The director of a scene: a thread that starts its processes, lets things happen to them, and from time to time lets
//! them come to rest, to see whether all came through and what they take.

mod events;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::actor::Options as ActorOptions;
use super::cast::{Actor, Heard, Line, Totals};
use super::checker::Promise;
use super::feed::Sabotage;
use super::journal::Journal;
use super::message::Stream;
use super::proxy::{Address, Proxy};
use super::random::Random;
use super::resources::{Sample, Series};
use super::scene::{Event, Scene, Side, Transport};
use super::stacks;

/// How long to listen before looking at the clock.
const LOOK: Duration = Duration::from_millis(50);
/// Without any progress for so long, of which no step counts for more than a second, a scene hangs.
const HANG: Duration = Duration::from_secs(60);
/// A scene is quiet when so many reports in a row of each process tell the same.
const SAME: u32 = 3;
/// What a closed socket gives its peers to close an `ipc` connection, and a little more.
const GOODBYE: Duration = Duration::from_millis(1_200);

/// What all scenes of a run have in common.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) ends: Instant,
    pub(super) began: Instant,
    pub(super) direct: Option<bool>,
    pub(super) sabotage: Option<Sabotage>,
    /// The longest time between two rests.
    pub(super) storm: Duration,
    /// KiB that a process may take more at the end than at the beginning.
    pub(super) slack: u64,
    /// How long memory is let grow: first uses, buffers that find their size.
    pub(super) warm_up: Duration,
    pub(super) folder: std::path::PathBuf,
}

/// What came of a scene.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) totals: Totals,
    pub(super) events: u64,
    pub(super) rests: u64,
    pub(super) violations: u64,
    /// Of each side's process that lived through it all: what it took at first and in the end.
    pub(super) took: Vec<[Sample; 2]>,
}

/// One process of the scene, and what is known of it.
struct Part {
    actor: Actor,
    sides: Vec<Side>,
    /// By side; those of an earlier process are in [`Director::before`].
    totals: [Totals; 2],
    /// Reports in a row that told the same.
    same: u32,
    /// Bytes that it has allocated, if it has told since it was last asked.
    allocated: Option<u64>,
    series: Series,
    stopped_until: Option<Instant>,
}

impl Part {
    fn has(&self, side: Side) -> bool {
        self.sides.contains(&side)
    }
}

/// Why a scene cannot go on.
struct Over;

pub(super) struct Director {
    scene: &'static Scene,
    number: usize,
    run: Run,
    random: Random,
    journal: Arc<Journal>,
    parts: Vec<Part>,
    proxy: Option<Proxy>,
    lines: Receiver<Heard>,
    speaker: Sender<Heard>,
    /// What processes that were killed have done, by side.
    before: [Totals; 2],
    seen: BTreeMap<Stream, u64>,
    marks: BTreeSet<(u32, u64, u64)>,
    incarnations: u32,
    outcome: Outcome,
    stalled_until: Option<Instant>,
    recent: VecDeque<String>,
    idle: Duration,
    looked: Instant,
    progress: u64,
}

impl Director {
    pub(super) fn new(scene: &'static Scene, number: usize, run: Run, journal: Arc<Journal>) -> Self {
        let (speaker, lines) = mpsc::channel();
        Director {
            scene,
            number,
            random: Random::new(run.seed ^ (number as u64) << 48),
            run,
            journal,
            parts: Vec::new(),
            proxy: None,
            lines,
            speaker,
            before: [Totals::default(); 2],
            seen: BTreeMap::new(),
            marks: BTreeSet::new(),
            incarnations: 0,
            outcome: Outcome::default(),
            stalled_until: None,
            recent: VecDeque::new(),
            idle: Duration::ZERO,
            looked: Instant::now(),
            progress: 0,
        }
    }

    /// Plays the scene until the run's end.
    pub(super) fn play(mut self) -> Outcome {
        if self.play_on().is_err() {
            self.parts.iter_mut().for_each(|part| part.actor.kill());
        }
        for (side, mut totals) in [Side::Bound, Side::Connected].into_iter().zip(self.totals()) {
            if self.scene.incoming(side).complete && self.scene.role(side).receives() {
                // What one receiver misses, another has got.
                totals.lost = 0;
            }
            self.outcome.totals.add(&totals);
        }
        self.outcome
    }

    fn play_on(&mut self) -> Result<(), Over> {
        if let Err(error) = self.open() {
            return self.fail(&format!("cannot begin: {error}"));
        }
        let mut rest = 0;
        loop {
            let left = self.run.ends.saturating_duration_since(Instant::now());
            let storm = self.random.millis(500, self.run.storm.as_millis() as u64).min(left);
            self.storm(Instant::now() + storm)?;
            rest += 1;
            self.rest(rest)?;
            if Instant::now() >= self.run.ends {
                break;
            }
            self.tell_all("go");
        }
        self.conclude()
    }

    // --- the processes ---

    fn open(&mut self) -> Result<(), String> {
        if self.scene.is_proxied() {
            let proxy = Proxy::start(&self.address(Side::Connected), self.address(Side::Bound));
            self.proxy = Some(proxy.map_err(|error| format!("the proxy: {error}"))?);
        }
        if self.scene.is_alone() {
            return self.start(vec![Side::Bound, Side::Connected]);
        }
        self.start(vec![Side::Bound])?;
        self.start(vec![Side::Connected])
    }

    fn start(&mut self, sides: Vec<Side>) -> Result<(), String> {
        self.incarnations += 1;
        let of = |side: Side| sides.contains(&side).then(|| self.endpoint(side));
        let options = ActorOptions {
            scene: self.scene.name.into(),
            bind: of(Side::Bound),
            connect: of(Side::Connected),
            incarnation: self.incarnations,
            seed: self.random.next(),
            seen: self.seen.iter().map(|(stream, next)| (*stream, *next)).collect(),
            sabotage: self.run.sabotage,
        };
        let actor = Actor::start(&options, self.run.direct, &self.speaker)?;
        let totals = [Totals::default(); 2];
        self.parts.push(Part {
            actor,
            sides,
            totals,
            same: 0,
            allocated: None,
            series: Series::default(),
            stopped_until: None,
        });
        Ok(())
    }

    /// Where a side is met: the bound one, and where the proxy is if there is one.
    fn endpoint(&self, side: Side) -> String {
        match self.address(side) {
            Address::Tcp(address) if self.scene.transport == Transport::Ws => format!("ws://{address}/soak"),
            Address::Tcp(address) => format!("tcp://{address}"),
            Address::Unix(_) if self.scene.transport == Transport::Inproc => "inproc://soak".into(),
            Address::Unix(path) => format!("ipc://{path}"),
        }
    }

    fn address(&self, side: Side) -> Address {
        let proxied = side == Side::Connected && self.scene.is_proxied();
        match self.scene.transport {
            Transport::Tcp | Transport::Ws => {
                // An address of its own, whose ports the system gives to nobody who lets it choose.
                let process = std::process::id();
                let (a, b) = (1 + process / 250 % 250, 1 + process % 250);
                Address::Tcp(format!("127.{a}.{b}.{}:{}", 1 + self.number, 5000 + u16::from(proxied)))
            }
            Transport::Ipc | Transport::Inproc => {
                let name = if proxied { "proxy" } else { "bound" };
                Address::Unix(self.run.folder.join(format!("{}-{name}", self.number)).display().to_string())
            }
        }
    }

    fn tell_all(&mut self, command: &str) {
        self.parts.iter_mut().for_each(|part| part.actor.tell(command));
    }

    fn totals(&self) -> [Totals; 2] {
        let mut totals = self.before;
        for part in &self.parts {
            (0..2).for_each(|side| totals[side].add(&part.totals[side]));
        }
        totals
    }

    // --- listening ---

    /// Takes in what processes say until `until`, and sees whether the scene gets on.
    fn listen(&mut self, until: Instant) -> Result<(), Over> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(LOOK)) {
                Ok((incarnation, line)) => self.take_in(incarnation, line)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.watch()?;
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Takes in the last words of a process that has ended.
    fn hear_out(&mut self, of: u32) -> Result<(), Over> {
        while let Ok((incarnation, line)) = self.lines.recv_timeout(Duration::from_secs(10)) {
            if incarnation == of && line == Line::Ended {
                break;
            }
            self.take_in(incarnation, line)?;
        }
        Ok(())
    }

    fn take_in(&mut self, incarnation: u32, line: Line) -> Result<(), Over> {
        let Some(part) = self.parts.iter_mut().find(|part| part.actor.incarnation == incarnation) else {
            // Last words of a process that was killed.
            if let Line::Fault(fault) = line {
                self.violation(&format!("process {incarnation}: {fault}"));
            }
            return Ok(());
        };
        match line {
            Line::Totals(side, totals) => {
                let before = std::mem::replace(&mut part.totals[side as usize], totals);
                part.same = if before == totals { part.same + 1 } else { 0 };
            }
            Line::Allocated(bytes) => part.allocated = Some(bytes),
            Line::Mark { mark, lane, from } => {
                self.marks.insert((mark, u64::from(incarnation) << 32 | lane, from));
            }
            Line::Seen(stream, next) => {
                self.seen.insert(stream, next);
                // Those of processes that are gone come no more.
                while self.seen.len() > 32 {
                    self.seen.pop_first();
                }
            }
            Line::Done => part.actor.done = true,
            Line::Fault(fault) => self.violation(&format!("process {incarnation}: {fault}")),
            Line::Ended if part.actor.done => {}
            Line::Ended => {
                let status = part.actor.wait();
                let status = status.map_or_else(String::new, |status| status.to_string());
                return self.fail(&format!("process {incarnation} ended by itself: {status}"));
            }
        }
        Ok(())
    }

    /// Fails if nothing has got on for too long.
    fn watch(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        let step = now.saturating_duration_since(std::mem::replace(&mut self.looked, now));
        let progress = self.totals().iter().map(|totals| totals.received).sum();
        if progress != std::mem::replace(&mut self.progress, progress) {
            self.idle = Duration::ZERO;
        } else {
            // Of a pause that this process was held in itself, little counts.
            self.idle += step.min(Duration::from_secs(1));
        }
        if self.idle > HANG { self.hangs("no message for a minute") } else { Ok(()) }
    }

    fn hangs(&mut self, what: &str) -> Result<(), Over> {
        for part in &self.parts {
            self.journal.say(&stacks::report(part.actor.id()));
        }
        self.fail(&format!("HANGS: {what}"))
    }

    fn fail(&mut self, what: &str) -> Result<(), Over> {
        self.violation(what);
        Err(Over)
    }

    fn violation(&mut self, what: &str) {
        self.outcome.violations += 1;
        let at = self.run.began.elapsed().as_secs_f64();
        let (name, seed) = (self.scene.name, self.run.seed);
        let recent: String = self.recent.iter().map(|event| format!("\n    {event}")).collect();
        self.journal
            .say(&format!("VIOLATION {at:.3} s, scene {name}, seed {seed}: {what}\n  before:{recent}"));
    }

    // --- rest ---

    /// Lets the scene come to rest, and looks whether all came through and what the processes take.
    fn rest(&mut self, number: u32) -> Result<(), Over> {
        self.calm();
        self.idle = Duration::ZERO;
        self.tell_all(&format!("hold {number}"));
        self.marks.clear();
        self.wait_until(
            |this| this.marks.iter().filter(|(mark, ..)| *mark == number).count() >= this.scene.pairs(),
            "marks do not come through",
        )?;
        self.tell_all("still");
        self.parts.iter_mut().for_each(|part| part.same = 0);
        let quiet = |this: &Self| this.parts.iter().all(|part| part.same >= SAME * part.sides.len() as u32);
        self.wait_until(quiet, "it does not come to rest")?;
        // What is on its way for longer than any report takes is not lost yet.
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.missing().is_some() && Instant::now() < deadline {
            self.listen(Instant::now() + LOOK)?;
        }
        if let Some(missing) = self.missing() {
            self.violation(&missing);
        }
        self.compare_runs();
        if self.scene.events.contains(&Event::Reopen) || self.scene.churn {
            // Connections of closed sockets are there until their peers have closed them, or for so long.
            self.listen(Instant::now() + GOODBYE)?;
        }
        self.outcome.rests += 1;
        self.sample()
    }

    /// Notes what the processes take, and keeps it once they have warmed up.
    fn sample(&mut self) -> Result<(), Over> {
        self.parts.iter_mut().for_each(|part| part.allocated = None);
        self.tell_all("measure");
        let told = |this: &Self| this.parts.iter().all(|part| part.allocated.is_some());
        self.wait_until(told, "it does not tell what it has allocated")?;
        let elapsed = self.run.began.elapsed();
        for part in &mut self.parts {
            let Ok(sample) = Sample::of(part.actor.id(), part.allocated.unwrap_or_default()) else {
                continue;
            };
            let (at, name, incarnation) = (elapsed.as_secs_f64(), self.scene.name, part.actor.incarnation);
            self.journal.note(&format!("{at:.3} {name}: process {incarnation} takes {sample}"));
            if elapsed >= self.run.warm_up {
                part.series.push(sample);
            }
        }
        Ok(())
    }

    fn wait_until(&mut self, done: impl Fn(&Self) -> bool, what: &str) -> Result<(), Over> {
        let mut waited = Duration::ZERO;
        while !done(self) {
            let before = Instant::now();
            self.listen(before + LOOK)?;
            waited += before.elapsed().min(Duration::from_secs(1));
            if waited > HANG {
                return self.hangs(what);
            }
        }
        Ok(())
    }

    /// What was sent and not received, where all must be.
    fn missing(&self) -> Option<String> {
        let [bound, connected] = self.totals();
        let ways = [
            (self.scene.up, self.scene.connected, connected.sent, bound.received),
            (self.scene.down, self.scene.bound, bound.sent, connected.received),
        ];
        ways.into_iter().find_map(|(way, sender, sent, received)| {
            let wrong = way.complete && sender.sends() && sent != received;
            wrong.then(|| format!("LOST OR DOUBLED at rest: {sent} sent, {received} received"))
        })
    }

    /// A connection carries one run: there cannot be more runs than connections.
    fn compare_runs(&mut self) {
        let Some(carried) = self.proxy.as_ref().map(Proxy::carried) else { return };
        let totals = self.totals();
        for side in [Side::Bound, Side::Connected] {
            let counted = matches!(self.scene.incoming(side).promise, Promise::Runs { .. });
            let (runs, connections) = (totals[side as usize].runs, carried[side as usize]);
            if counted && runs > connections {
                self.violation(&format!("LOST OR REORDERED: {runs} runs over {connections} connections"));
            }
        }
    }

    // --- the end ---

    /// Ends the processes and judges what they took.
    fn conclude(&mut self) -> Result<(), Over> {
        for index in 0..self.parts.len() {
            let part = &self.parts[index];
            let grown = part.series.growth(self.run.slack);
            let (incarnation, sides) = (part.actor.incarnation, part.sides.clone());
            self.outcome.took.extend(part.series.ends());
            if let Some(grown) = grown {
                self.violation(&format!("GROWS: process {incarnation}, {sides:?}: {grown}"));
            }
        }
        self.parts.iter_mut().for_each(|part| part.actor.dismiss());
        self.wait_until(|this| this.parts.iter().all(|part| part.actor.done), "its sockets do not close")?;
        for index in 0..self.parts.len() {
            let status = self.parts[index].actor.wait();
            if !status.is_some_and(|status| status.success()) {
                self.violation(&format!("a process ended with {status:?}"));
            }
        }
        Ok(())
    }
}

/// What a thread could not add to because another has panicked is there all the same.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
