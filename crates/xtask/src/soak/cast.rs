//! The processes of a scene: started, told, listened to, stopped and killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::actor::Options;
use super::message::Stream;
use super::scene::Side;

/// What the lanes of one side in one process have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) runs: u64,
    pub(super) lives: u64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Totals) {
        self.sent += other.sent;
        self.received += other.received;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.runs += other.runs;
        self.lives += other.lives;
    }
}

/// What a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What the lanes of a side have done so far.
    Totals(Side, Totals),
    /// It has given back what memory is free, and so many bytes are allocated.
    Allocated(u64),
    /// A message with that mark has come from that lane to this one.
    Mark { mark: u32, lane: u64, from: u64 },
    /// This one has received what is below that number of the stream.
    Seen(Stream, u64),
    /// Something that must not be.
    Fault(String),
    /// All sockets are closed.
    Done,
    /// The output has ended.
    Ended,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "fault" {
            return Some(Line::Fault(rest.into()));
        }
        let (side, rest) = match rest.split_once(' ') {
            Some(("bound", rest)) => (Side::Bound, rest),
            Some(("connected", rest)) => (Side::Connected, rest),
            _ => (Side::Bound, rest),
        };
        let numbers: Result<Vec<u64>, _> = rest.split_whitespace().map(str::parse).collect();
        Some(match (word, &numbers.ok()?[..]) {
            ("totals", &[sent, received, bytes, lost, runs, lives]) => {
                Line::Totals(side, Totals { sent, received, bytes, lost, runs, lives })
            }
            ("allocated", &[bytes]) => Line::Allocated(bytes),
            ("mark", &[mark, lane, from]) => Line::Mark { mark: mark as u32, lane, from },
            ("seen", &[stream, next]) => Line::Seen(Stream(stream), next),
            ("done", []) => Line::Done,
            _ => return None,
        })
    }
}

/// A line, and of which process by the number of its incarnation.
pub(super) type Heard = (u32, Line);

/// A process.
pub(super) struct Actor {
    pub(super) incarnation: u32,
    child: Child,
    /// Closed to end it.
    input: Option<ChildStdin>,
    pub(super) done: bool,
}

impl Actor {
    /// Starts this program as an actor. What it says goes to `lines`.
    pub(super) fn start(
        options: &Options,
        direct: Option<bool>,
        lines: &Sender<Heard>,
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(["soak-actor", "--scene", &options.scene]);
        command.args([
            "--incarnation",
            &options.incarnation.to_string(),
            "--seed",
            &options.seed.to_string(),
        ]);
        for (name, endpoint) in [("--bind", &options.bind), ("--connect", &options.connect)] {
            if let Some(endpoint) = endpoint {
                command.args([name, endpoint]);
            }
        }
        for (Stream(stream), next) in &options.seen {
            command.args(["--seen", &format!("{stream}:{next}")]);
        }
        if let Some(sabotage) = options.sabotage {
            let name = clap::ValueEnum::to_possible_value(&sabotage);
            command.args(["--sabotage", name.as_ref().map_or("", |name| name.get_name())]);
        }
        match direct {
            Some(true) => drop(command.env_remove("ZLINK_DIRECT_IO")),
            Some(false) => drop(command.env("ZLINK_DIRECT_IO", "0")),
            None => {}
        }
        // So that memory that is free is given back, and what a process takes tells what it uses: large blocks at once,
        // and no more heaps than two.
        command.envs([("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")]);
        command.env("MALLOC_ARENA_MAX", "2");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start an actor: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("an actor without output")?;
        let (incarnation, lines) = (options.incarnation, lines.clone());
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let line =
                    Line::parse(&line).unwrap_or_else(|| Line::Fault(format!("not understood: {line}")));
                if lines.send((incarnation, line)).is_err() {
                    return;
                }
            }
            let _ = lines.send((incarnation, Line::Ended));
        });
        Ok(Actor { incarnation, child, input, done: false })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives a command. One that has ended is found out about otherwise.
    pub(super) fn tell(&mut self, command: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{command}");
        }
    }

    /// Asks it to close its sockets and end.
    pub(super) fn dismiss(&mut self) {
        self.input = None;
    }

    pub(super) fn signal(&self, signal: Signal) {
        // One that has ended is not reaped before `wait`: its number is nobody else's.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(super) fn wait(&mut self) -> Option<ExitStatus> {
        self.child.wait().ok()
    }

    /// Kills it and waits for its end.
    pub(super) fn kill(&mut self) {
        // Nothing is sent to one that was reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let totals = Totals { sent: 1, received: 2, bytes: 3, lost: 4, runs: 5, lives: 6 };
        assert_eq!(Line::parse("totals connected 1 2 3 4 5 6"), Some(Line::Totals(Side::Connected, totals)));
        assert_eq!(Line::parse("totals bound 1 2 3 4 5 6"), Some(Line::Totals(Side::Bound, totals)));
        assert_eq!(Line::parse("allocated 7"), Some(Line::Allocated(7)));
        assert_eq!(Line::parse("mark 1 2 3"), Some(Line::Mark { mark: 1, lane: 2, from: 3 }));
        assert_eq!(Line::parse("seen 9 10"), Some(Line::Seen(Stream(9), 10)));
        assert_eq!(Line::parse("fault of this kind"), Some(Line::Fault("of this kind".into())));
        assert_eq!(Line::parse("done"), Some(Line::Done));
        assert_eq!(Line::parse("totals bound 1"), None);
        assert_eq!(Line::parse("anything"), None);
    }
}
