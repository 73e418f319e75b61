//! An actor: a process with the lanes of one side of a scene, or of both. It is told what to do in lines on its standard
//! input, and tells what it sees in lines on its standard output.
//!
//! In come `hold MARK`, `still`, `go`, and with a lane's number `pause LANE MILLISECONDS`, `reopen LANE`,
//! `reconnect LANE`, `resubscribe LANE`; the end of the input ends the process once what its sockets have queued is sent.
//! `measure` gives back what memory is free and tells what is allocated. Out come the lines of [`Line`](super::cast::Line).

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::feed::Sabotage;
use super::heap;
use super::lane::{Command, Lane, Setup, Totals};
use super::link::Contexts;
use super::message::Stream;
use super::scene::{SCENES, Side};

/// Between two lines that tell how much was done.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What the director starts; not for users.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The scene's name.
    #[arg(long)]
    pub(super) scene: String,
    /// The endpoint to bind, unless this process is of the other side only.
    #[arg(long)]
    pub(super) bind: Option<String>,
    /// The endpoint to connect to.
    #[arg(long)]
    pub(super) connect: Option<String>,
    #[arg(long)]
    pub(super) incarnation: u32,
    #[arg(long)]
    pub(super) seed: u64,
    /// A stream of which another process has received what lies below a number: STREAM:NUMBER.
    #[arg(long, value_parser = seen)]
    pub(super) seen: Vec<(Stream, u64)>,
    #[arg(long)]
    pub(super) sabotage: Option<Sabotage>,
}

fn seen(text: &str) -> Result<(Stream, u64), String> {
    let numbers =
        text.split_once(':').and_then(|(stream, next)| Some((stream.parse().ok()?, next.parse().ok()?)));
    numbers.map(|(stream, next)| (Stream(stream), next)).ok_or_else(|| "not STREAM:NUMBER".into())
}

/// Prints a line for the director. If it is gone, the process ends by itself.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Runs the lanes until the input ends.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    // A killed soak leaves nobody behind, not even those that it had stopped.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let scene = SCENES.iter().find(|scene| scene.name == options.scene);
    let scene = scene.ok_or_else(|| format!("no scene is called {}", options.scene))?;
    let contexts = Arc::new(Contexts::new());
    let mut setups = Vec::new();
    for (side, endpoint) in [(Side::Bound, &options.bind), (Side::Connected, &options.connect)] {
        let Some(endpoint) = endpoint else { continue };
        for _ in 0..scene.lanes(side) {
            setups.push(Setup {
                scene,
                side,
                index: setups.len(),
                incarnation: options.incarnation,
                seed: options.seed,
                endpoint: endpoint.clone(),
                contexts: Arc::clone(&contexts),
                seen: options.seen.clone(),
                sabotage: options.sabotage,
            });
        }
    }
    let (mut commands, mut totals, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for setup in setups {
        let (sender, receiver) = mpsc::channel();
        let total = Arc::new(Totals::default());
        let side = setup.side;
        commands.push(sender);
        totals.push((side, Arc::clone(&total)));
        threads.push(thread::spawn(move || {
            let failed = |error: io::Error| say(&format!("fault FAILED {error}"));
            match Lane::open(setup, receiver, total) {
                Ok(lane) => lane.run().unwrap_or_else(failed),
                Err(error) => failed(error),
            }
        }));
    }
    drop(contexts);
    thread::spawn(move || {
        loop {
            tell_totals(&totals);
            thread::sleep(TICK);
        }
    });
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line == "measure" {
            say(&format!("allocated {}", heap::settle()));
            continue;
        }
        pass_on(&line, &commands).ok_or_else(|| format!("not understood: {line}"))?;
    }
    drop(commands);
    let fine = threads.into_iter().all(|thread| thread.join().is_ok());
    say("done");
    Ok(fine)
}

/// Gives a command to the lanes it is for.
fn pass_on(line: &str, lanes: &[Sender<Command>]) -> Option<()> {
    let mut words = line.split_whitespace();
    let word = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    let to_all = match word {
        "hold" => Some(Command::Hold(number()? as u32)),
        "still" => Some(Command::Still),
        "go" => Some(Command::Go),
        _ => None,
    };
    if let Some(command) = to_all {
        // A lane that has failed has said so.
        for lane in lanes {
            let _ = lane.send(command);
        }
        return Some(());
    }
    let lane = lanes.get(number()? as usize)?;
    let command = match word {
        "pause" => Command::Pause(Duration::from_millis(number()?)),
        "reopen" => Command::Reopen,
        "reconnect" => Command::Reconnect,
        "resubscribe" => Command::Resubscribe,
        _ => return None,
    };
    let _ = lane.send(command);
    Some(())
}

/// Tells what each side of this process has done so far.
fn tell_totals(totals: &[(Side, Arc<Totals>)]) {
    for side in [Side::Bound, Side::Connected] {
        let of = |choose: fn(&Totals) -> u64| {
            totals.iter().filter(|(of, _)| *of == side).map(|(_, totals)| choose(totals)).sum::<u64>()
        };
        if !totals.iter().any(|(of, _)| *of == side) {
            continue;
        }
        // Received first: what is sent meanwhile is not missing.
        let received = of(|it| it.received.load(Ordering::Relaxed));
        let counts = [
            of(|it| it.sent.load(Ordering::Relaxed)),
            received,
            of(|it| it.bytes.load(Ordering::Relaxed)),
            of(|it| it.lost.load(Ordering::Relaxed)),
            of(|it| it.runs.load(Ordering::Relaxed)),
            of(|it| it.lives.load(Ordering::Relaxed)),
        ];
        let counts = counts.map(|count| count.to_string()).join(" ");
        let side = if side == Side::Bound { "bound" } else { "connected" };
        say(&format!("totals {side} {counts}"));
    }
}
