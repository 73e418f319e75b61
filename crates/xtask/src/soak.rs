//! The soak: many sockets of all patterns at work side by side for a long time, disturbed at random, with every message
//! numbered and checked.
//!
//! Each scene ([`scene`]) is directed by a thread ([`director`]) and played by processes of this program ([`actor`]),
//! whose threads ([`lane`]) have a socket each. What may be lost and what may not stands with the scenes. From time to
//! time a scene comes to rest: all that must arrive has arrived, and what its processes take is noted.

pub(crate) mod actor;
mod cast;
mod checker;
mod director;
mod feed;
mod garbage;
#[allow(unsafe_code)]
mod heap;
mod journal;
mod lane;
mod link;
mod message;
mod proxy;
mod random;
mod resources;
mod scene;
mod stacks;
mod table;

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use crate::workspace::target_dir;
use director::{Director, Run};
use feed::Sabotage;
use journal::Journal;
use scene::{SCENES, Scene};

/// Has sockets of all patterns talk for a long time, while receivers pause, connections break and processes are killed,
/// and checks that nothing is lost, doubled, reordered, cut or changed that may not be, and that memory stays flat.
///
/// Exits with 0 if all is well, with 1 if something was found, with 2 if the soak could not be run. All that happened is
/// kept in target/soak/.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// How long.
    #[arg(long, value_name = "MINUTES", default_value_t = 60.0)]
    minutes: f64,
    /// What the random events are chosen by [default: by the clock]. The events are the same for the same seed, though
    /// not to the microsecond.
    #[arg(long)]
    seed: Option<u64>,
    /// With the callers' threads reading and writing (1), or the I/O threads alone (0) [default: as in the environment].
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    direct: Option<u8>,
    /// Only scenes with this in their names.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// No scenes with this in their names.
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Print all events.
    #[arg(long)]
    verbose: bool,
    /// Does something wrong on purpose, to see that it is noticed.
    #[arg(long, hide = true)]
    sabotage: Option<Sabotage>,
}

/// Runs the soak. Whether all was well.
pub(super) fn run(options: &Options) -> Result<bool, String> {
    let seed = options.seed.unwrap_or_else(seed_of_now);
    let chosen =
        |scene: &&Scene| options.only.is_empty() || options.only.iter().any(|it| scene.name.contains(it));
    let skipped = |scene: &&Scene| options.skip.iter().any(|it| scene.name.contains(it));
    let scenes: Vec<&'static Scene> = SCENES.iter().filter(chosen).filter(|scene| !skipped(scene)).collect();
    if scenes.is_empty() {
        return Err("no scene has such a name".into());
    }
    crate::process::forbid_core_files()
        .map_err(|error| format!("core files cannot be switched off: {error}"))?;
    let kept = target_dir().join("soak");
    fs::create_dir_all(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    // Paths of sockets must be short.
    let folder = std::env::temp_dir().join(format!("zlink-soak-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let log = kept.join(format!("{seed}.log"));
    let journal = Journal::create(&log, options.verbose);
    let journal = Arc::new(journal.map_err(|error| format!("{}: {error}", log.display()))?);
    journal.say(&format!(
        "soak: {} scenes for {} minutes, seed {seed}; all events in {}",
        scenes.len(),
        options.minutes,
        log.display()
    ));

    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let began = Instant::now();
    let run = Run {
        seed,
        began,
        ends: began + length,
        direct: options.direct.map(|direct| direct != 0),
        sabotage: options.sabotage,
        storm: (length / 15).clamp(Duration::from_secs(1), Duration::from_secs(20)),
        slack: slack(length),
        warm_up: (length / 6).min(Duration::from_secs(300)),
        folder: folder.clone(),
    };
    let directors: Vec<_> = scenes
        .iter()
        .map(|scene| {
            let number = SCENES.iter().position(|other| other.name == scene.name).unwrap_or_default();
            let director = Director::new(scene, number, run.clone(), Arc::clone(&journal));
            thread::spawn(move || director.play())
        })
        .collect();
    let outcomes: Vec<_> = directors.into_iter().map(|director| director.join().ok()).collect();
    let _ = fs::remove_dir_all(&folder);
    Ok(table::conclude(&journal, &scenes, &outcomes))
}

/// KiB that a process may grow by between the first third and the last. A short run shows what leaks fast only: queues and
/// the allocator find their size within minutes.
fn slack(length: Duration) -> u64 {
    if length < Duration::from_secs(15 * 60) { 32 * 1024 } else { 2 * 1024 }
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |time| time.as_secs())
}
