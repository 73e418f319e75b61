//! What happens to a scene between two rests.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Director, Over, Part};
use crate::soak::garbage;
use crate::soak::proxy::Break;
use crate::soak::scene::{Event, Role, Side};

/// Events that are told with a violation.
const RECENT: usize = 12;

impl Director {
    /// Lets things happen until `until`.
    pub(super) fn storm(&mut self, until: Instant) -> Result<(), Over> {
        self.idle = Duration::ZERO;
        while Instant::now() < until {
            let pause = self.random.millis(20, 600);
            self.listen((Instant::now() + pause).min(until))?;
            self.go_on();
            if Instant::now() < until && !self.scene.events.is_empty() {
                let event = *self.random.pick(self.scene.events);
                self.happen(event)?;
            }
        }
        Ok(())
    }

    /// Ends what was to last until now.
    fn go_on(&mut self) {
        let now = Instant::now();
        if self.stalled_until.is_some_and(|until| now >= until) {
            self.stalled_until = None;
            self.proxy.iter().for_each(|proxy| proxy.stall(false));
        }
        for part in &mut self.parts {
            if part.stopped_until.is_some_and(|until| now >= until) {
                part.stopped_until = None;
                part.actor.signal(Signal::CONT);
            }
        }
    }

    /// Ends all that lasts.
    pub(super) fn calm(&mut self) {
        let now = Instant::now();
        self.stalled_until = self.stalled_until.map(|_| now);
        self.parts.iter_mut().for_each(|part| part.stopped_until = part.stopped_until.map(|_| now));
        self.go_on();
    }

    fn note(&mut self, event: String) {
        self.outcome.events += 1;
        let at = self.run.began.elapsed().as_secs_f64();
        self.journal.note(&format!("{at:.3} {}: {event}", self.scene.name));
        self.recent.push_back(format!("{at:.3} {event}"));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// A lane for which `role` holds, as its process and its number in that.
    fn pick_lane(&mut self, choose: impl Fn(Side, Role) -> bool) -> Option<(usize, usize)> {
        let mut lanes = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let of_side = |&side: &Side| (0..self.scene.lanes(side)).map(move |_| side);
            for (lane, side) in part.sides.iter().flat_map(of_side).enumerate() {
                if choose(side, self.scene.role(side)) {
                    lanes.push((index, lane));
                }
            }
        }
        (!lanes.is_empty()).then(|| *self.random.pick(&lanes))
    }

    fn happen(&mut self, event: Event) -> Result<(), Over> {
        match event {
            Event::Stall => {
                let receives = |_, role: Role| role.receives() || role == Role::Req;
                let Some((part, lane)) = self.pick_lane(receives) else { return Ok(()) };
                // Where connections come all the time, a long pause would leave thousands of them.
                let long = self.random.once_in(5) && !self.scene.churn;
                let time = self.random.millis(5, if long { 2_000 } else { 200 }).as_millis();
                self.tell(part, &format!("pause {lane} {time}"));
            }
            Event::Stop => {
                let index = self.random.below(self.parts.len() as u64) as usize;
                let time = self.random.millis(5, 1_000);
                let part = &mut self.parts[index];
                part.actor.signal(Signal::STOP);
                part.stopped_until = Some(Instant::now() + time);
                let incarnation = part.actor.incarnation;
                self.note(format!("process {incarnation}: stopped for {time:?}"));
            }
            Event::Kill(side) => return self.kill(side),
            Event::Cut => self.cut(),
            Event::Reopen | Event::Reconnect => {
                let connects = |side, _| side == Side::Connected;
                let Some((part, lane)) = self.pick_lane(connects) else { return Ok(()) };
                let word = if event == Event::Reopen { "reopen" } else { "reconnect" };
                self.tell(part, &format!("{word} {lane}"));
            }
            Event::Resubscribe => {
                let subscribes = |_, role| role == Role::Sub;
                let Some((part, lane)) = self.pick_lane(subscribes) else { return Ok(()) };
                self.tell(part, &format!("resubscribe {lane}"));
            }
            Event::Garbage => {
                let bytes = garbage::bytes(&mut self.random);
                let stay = self.random.millis(0, 300);
                self.note(format!("{} bytes of garbage, staying for {stay:?}", bytes.len()));
                let address = self.address(Side::Bound);
                thread::spawn(move || address.pester(&bytes, stay));
            }
        }
        Ok(())
    }

    fn tell(&mut self, part: usize, command: &str) {
        let part = &mut self.parts[part];
        part.actor.tell(command);
        let incarnation = part.actor.incarnation;
        self.note(format!("process {incarnation}: {command}"));
    }

    /// Kills the process of a side and starts another in its place.
    fn kill(&mut self, side: Side) -> Result<(), Over> {
        let Some(index) = self.parts.iter().position(|part| part.has(side)) else { return Ok(()) };
        // Not while nothing has come of the last one.
        let Part { totals, .. } = &self.parts[index];
        if totals[side as usize] == Default::default() {
            return Ok(());
        }
        self.note(format!("process {}: killed", self.parts[index].actor.incarnation));
        self.parts[index].actor.kill();
        // What it said before its end counts.
        let incarnation = self.parts[index].actor.incarnation;
        self.hear_out(incarnation)?;
        let part = self.parts.remove(index);
        (0..2).for_each(|side| self.before[side].add(&part.totals[side]));
        match self.start(part.sides.clone()) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(&error),
        }
    }

    fn cut(&mut self) {
        let Some(proxy) = self.proxy.clone() else { return };
        if self.random.once_in(5) {
            let time = self.random.millis(20, 1_000);
            proxy.stall(true);
            self.stalled_until = Some(Instant::now() + time);
            self.note(format!("proxy: passes nothing on for {time:?}"));
            return;
        }
        let connections = proxy.connections();
        if connections > 0 {
            let number = self.random.below(connections as u64) as usize;
            let how = *self.random.pick(&[
                Break::Reset,
                Break::Reset,
                Break::Close,
                Break::HalfUp,
                Break::HalfDown,
            ]);
            proxy.cut(number, how);
            self.note(format!("proxy: connection {number} of {connections}: {how:?}"));
        }
    }
}
