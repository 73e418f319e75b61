//! Runs one program: in a process group and, where allowed, a network of its own, for at most a given time.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, kill_process_group, setrlimit, waitid,
};

/// How long to sleep between two looks at a running program.
const LOOK: Duration = Duration::from_millis(10);

/// Sets up the new network: the loopback interface, and where the kernel has it a virtual cable with both ends here,
/// for multicast. The loopback interface will not do for that: it returns what is sent with `IP_MULTICAST_LOOP` off.
/// Without the cable, the cases that need multicast say that it is not there.
const NETWORK: &str = "ip link set lo up || exit
    { ip link add multi0 type veth peer name multi1 && ip link set multi1 up && ip link set multi0 up \
        && ip addr add 10.99.99.1/24 dev multi0 && ip addr add fd99::1/64 dev multi0 nodad \
        && ip route add 224.0.0.0/4 dev multi0 \
        && ip -6 route add ff00::/8 dev multi0 table local metric 1; } 2>/dev/null
    exec \"$0\" \"$@\"";

/// How a program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    Signalled(i32),
    /// It was killed when its time was over.
    TimedOut,
}

/// What a program did.
pub(super) struct Outcome {
    pub(super) end: End,
    /// Standard output and standard error, as they came.
    pub(super) output: String,
    pub(super) took: Duration,
}

/// Whether programs can have networks of their own, and how they get them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// As root.
    Own,
    /// As a user who is root in a user namespace of its own.
    OwnAsUser,
    /// All use the system's, so that they have to run one after the other.
    Shared,
}

impl Network {
    /// Finds out by trying. Needs `unshare` of util-linux and `ip` of iproute2.
    pub(super) fn detect() -> Self {
        let works = |network: Network| {
            network
                .command(Path::new("true"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        [Network::Own, Network::OwnAsUser]
            .into_iter()
            .find(|network| works(*network))
            .unwrap_or(Network::Shared)
    }

    /// A command that starts `program` in this network.
    pub(super) fn command(self, program: &Path) -> Command {
        let unshare: &[&str] = match self {
            Network::Own => &["--net"],
            Network::OwnAsUser => &["--net", "--map-root-user"],
            Network::Shared => return Command::new(program),
        };
        let mut command = Command::new("unshare");
        command.args(unshare).args(["--", "sh", "-c", NETWORK]).arg(program);
        command
    }
}

/// No program started from now on leaves a core file.
pub(super) fn forbid_core_files() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// A program to run.
pub(super) struct Job<'a> {
    pub(super) program: &'a Path,
    /// The folder to run in, emptied first. The output is kept beside it, with the extension `log`.
    pub(super) folder: PathBuf,
    /// The folder with the library to run over.
    pub(super) library: &'a Path,
    /// For the environment.
    pub(super) settings: &'a [(&'static str, OsString)],
    /// A command that starts the program; empty to start it as it is.
    pub(super) under: &'a [&'a str],
    /// The folder with the inputs of the fuzzers.
    pub(super) corpora: Option<&'a Path>,
    pub(super) network: Network,
    pub(super) limit: Duration,
}

impl Job<'_> {
    /// Runs the program to its end or to its time limit. Nothing it has started is left behind.
    pub(super) fn run(&self) -> io::Result<Outcome> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(self.folder.join("tests"))?;
        if let Some(corpora) = self.corpora {
            // Where the fuzzers look for them, seen from their working folder.
            std::os::unix::fs::symlink(corpora, self.folder.join("tests/libzmq-fuzz-corpora"))?;
        }
        let mut command = match self.under {
            [] => self.network.command(self.program),
            [first, rest @ ..] => {
                let mut command = self.network.command(Path::new(first));
                command.args(rest).arg(self.program);
                command
            }
        };
        command.current_dir(&self.folder).env("LD_LIBRARY_PATH", self.library);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        run_logged(&mut command, &self.folder.with_extension("log"), self.limit)
    }
}

/// Runs a command to its end or to its time limit, with all it prints in the file `log`. Nothing it has started is left
/// behind.
pub(super) fn run_logged(command: &mut Command, log: &Path, limit: Duration) -> io::Result<Outcome> {
    let out = File::create(log)?;
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    let start = Instant::now();
    let end = run_in_group(command, limit)?;
    let took = start.elapsed();
    let output = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok(Outcome { end, output, took })
}

/// Runs a command in a process group of its own and kills all of the group when the command or the time is over.
fn run_in_group(command: &mut Command, limit: Duration) -> io::Result<End> {
    let mut child = command.process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let start = Instant::now();
    // The ended child is left unreaped until its group is killed, so that the number cannot be another's by then.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let ended = loop {
        match waitid(WaitId::Pid(group), options) {
            Ok(Some(_)) => break true,
            Ok(None) | Err(rustix::io::Errno::INTR) if start.elapsed() < limit => sleep(LOOK),
            _ => break false,
        }
    };
    let killed = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    killed?;
    Ok(if ended { End::of(status) } else { End::TimedOut })
}

impl End {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Exited(code),
            (None, signal) => End::Signalled(signal.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    const NEVER: Duration = Duration::from_secs(600);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    #[test]
    fn the_end_of_a_program_is_told() {
        let end = |script| run_in_group(&mut shell(script), NEVER).expect("sh can be started");
        assert_eq!(end("exit 0"), End::Exited(0));
        assert_eq!(end("exit 77"), End::Exited(77));
        assert_eq!(end("kill -ABRT $$"), End::Signalled(6));
    }

    /// The pipe ends only when every process that holds it is gone.
    fn expect_that_nothing_is_left(script: &str, limit: Duration, expected: End) {
        let (reader, writer) = io::pipe().expect("a pipe can be made");
        let mut command = shell(script);
        command.stdout(writer);
        let end = run_in_group(&mut command, limit).expect("sh can be started");
        drop(command);
        assert_eq!(end, expected);
        io::read_to_string(reader).expect("the pipe ends");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let script = "trap '' TERM ALRM; sleep 600 & sleep 600; sleep 600";
        expect_that_nothing_is_left(script, SOON, End::TimedOut);
    }

    #[test]
    fn children_that_a_program_leaves_behind_are_killed() {
        expect_that_nothing_is_left("sleep 600 & exit 3", NEVER, End::Exited(3));
    }

    #[test]
    fn a_program_runs_in_an_empty_folder_with_its_library_and_corpora() {
        let folder = std::env::temp_dir().join(format!("xtask-job-{}", std::process::id()));
        fs::create_dir_all(folder.join("run/old")).expect("the folder can be made");
        fs::write(folder.join("corpus"), "").expect("the folder can be written");
        let program = folder.join("program");
        fs::write(
            &program,
            "#!/bin/sh\nls . tests/libzmq-fuzz-corpora\necho $LD_LIBRARY_PATH >&2\nulimit -c\nexit 4\n",
        )
        .expect("the folder can be written");
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("it is ours");
        forbid_core_files().expect("limits can be lowered");
        let job = Job {
            program: &program,
            folder: folder.join("run"),
            library: Path::new("/library"),
            settings: &[],
            under: &[],
            corpora: Some(&folder),
            network: Network::Shared,
            limit: NEVER,
        };
        let outcome = job.run().expect("it can be started");
        assert_eq!(outcome.end, End::Exited(4));
        let lines: Vec<&str> = outcome.output.lines().collect();
        assert!(lines.contains(&"corpus") && !lines.contains(&"old"), "{lines:?}");
        assert_eq!(lines[lines.len() - 2..], ["/library", "0"]);
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
