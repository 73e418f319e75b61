//! Unix sockets: paths, abstract names, and the files that are left behind.

use std::fs::DirBuilder;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{self, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix};

use super::config::TransportConfig;
use super::endpoint::{IpcEndpoint, IpcName, MAX_IPC_NAME};
use super::error::{EndpointError, TransportError};
use super::open_stream;

/// Where libzmq looks for a directory to put a wildcard's socket in.
const TEMP_VARIABLES: [&str; 3] = ["TMPDIR", "TEMPDIR", "TMP"];
const FALLBACK_TEMP: &str = "/tmp";

/// The file a listener is reached at. Dropping it removes the file, if it is still this listener's, and
/// the directory made for it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Option<Identity>,
    _directory: Option<TempDirectory>,
}

/// A directory made for one wildcard socket.
#[derive(Debug)]
struct TempDirectory(PathBuf);

/// Tells a file from a successor at the same path, as long as something keeps the first one's inode from
/// being reused: an open descriptor, or the socket bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == Identity::at(&self.path) {
            let _ = fs::unlink(&self.path);
        }
    }
}

impl Drop for TempDirectory {
    fn drop(&mut self) {
        let _ = fs::rmdir(&self.0);
    }
}

impl Identity {
    fn at(path: &Path) -> Option<Identity> {
        let stat = fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Identity::of(&stat))
    }

    fn of(stat: &Stat) -> Identity {
        Identity { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Binds and listens.
pub(super) fn listen(
    endpoint: &IpcEndpoint,
    config: &TransportConfig,
) -> Result<(OwnedFd, Option<SocketFile>), TransportError> {
    let fd = open_stream(AddressFamily::UNIX).map_err(TransportError::os("socket"))?;
    config.set_buffers(fd.as_fd()).map_err(TransportError::os("setsockopt"))?;
    match endpoint.name() {
        IpcName::Abstract(name) => {
            let address =
                SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(TransportError::os("bind"))?;
            net::bind(&fd, &address).map_err(TransportError::os("bind"))?;
            net::listen(&fd, config.backlog).map_err(TransportError::os("listen"))?;
            Ok((fd, None))
        }
        IpcName::Path(path) => {
            let file = listen_at(&fd, PathBuf::from(path), None, config)?;
            Ok((fd, Some(file)))
        }
        IpcName::Wildcard => {
            let parent = temp_parent(|name| std::env::var_os(name).map(PathBuf::from));
            let directory = TempDirectory::create(&parent).map_err(TransportError::os("mkdir"))?;
            let path = directory.0.join("socket");
            let length = path.as_os_str().len();
            if length > MAX_IPC_NAME {
                let max = MAX_IPC_NAME;
                return Err(EndpointError::PathTooLong { length, max }.into());
            }
            let file = listen_at(&fd, path, Some(directory), config)?;
            Ok((fd, Some(file)))
        }
    }
}

/// Opens a socket and starts to connect it. The inner result is that of `connect` itself.
pub(super) fn connect(
    name: &IpcName,
    config: &TransportConfig,
) -> io::Result<(OwnedFd, rustix::io::Result<()>)> {
    let address = match name {
        IpcName::Path(path) => SocketAddrUnix::new(path.as_str())?,
        IpcName::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        IpcName::Wildcard => return Err(Errno::INVAL.into()),
    };
    let fd = open_stream(AddressFamily::UNIX)?;
    config.set_ipc_buffers(fd.as_fd())?;
    let result = net::connect(&fd, &address);
    Ok((fd, result))
}

fn listen_at(
    fd: &OwnedFd,
    path: PathBuf,
    directory: Option<TempDirectory>,
    config: &TransportConfig,
) -> Result<SocketFile, TransportError> {
    let address = SocketAddrUnix::new(&path).map_err(TransportError::os("bind"))?;
    // Held from before the bind until after the listen: between the two, and between finding a file
    // stale and removing it, another process at the same would take a live socket for a dead one.
    let _lock = lock_parent(&path);
    let bound = match net::bind(fd, &address) {
        Err(Errno::ADDRINUSE) if remove_if_stale(&path, &address) => net::bind(fd, &address),
        bound => bound,
    };
    bound.map_err(TransportError::os("bind"))?;
    let file = SocketFile { identity: Identity::at(&path), path, _directory: directory };
    net::listen(fd, config.backlog).map_err(TransportError::os("listen"))?;
    Ok(file)
}

/// Removes a socket file nobody listens at, as a process that was killed leaves; true if the path is free
/// now.
///
/// libzmq removes whatever it finds. That takes the path from a running server without a word, and
/// deletes a file that was never a socket; here both are `EADDRINUSE`.
fn remove_if_stale(path: &Path, address: &SocketAddrUnix) -> bool {
    // The descriptor pins the inode, so that a successor cannot pass for the file looked at.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pin = match fs::open(path, flags, Mode::empty()) {
        Ok(pin) => pin,
        Err(errno) => return errno == Errno::NOENT,
    };
    let Ok(stat) = fs::fstat(&pin) else {
        return false;
    };
    if !FileType::from_raw_mode(stat.st_mode).is_socket() {
        return false;
    }
    // Anything but a refusal (a connection, a full backlog, no permission to ask) may mean a listener.
    let refused = open_stream(AddressFamily::UNIX)
        .is_ok_and(|probe| net::connect(&probe, address) == Err(Errno::CONNREFUSED));
    refused && Identity::at(path) == Some(Identity::of(&stat)) && fs::unlink(path).is_ok()
}

/// Keeps other binders of this library out of `path`'s directory until dropped.
///
/// Only advice: where the directory cannot be opened, or someone sits on the lock, binding goes on
/// without, rather than not at all.
fn lock_parent(path: &Path) -> Option<OwnedFd> {
    const TRIES: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(1);
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = fs::open(parent, flags, Mode::empty()).ok()?;
    for _ in 0..TRIES {
        match fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(directory),
            Err(Errno::WOULDBLOCK) => thread::sleep(PAUSE),
            Err(_) => return None,
        }
    }
    None
}

fn temp_parent(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    TEMP_VARIABLES
        .into_iter()
        .filter_map(variable)
        .find(|directory| directory.is_dir())
        .unwrap_or_else(|| PathBuf::from(FALLBACK_TEMP))
}

impl TempDirectory {
    /// Makes a directory only this user may enter, under a name nobody can guess and take first.
    fn create(parent: &Path) -> io::Result<TempDirectory> {
        const TRIES: u32 = 16;
        let mut last = Errno::EXIST.into();
        for attempt in 0..TRIES {
            // Each RandomState has new keys from the system's random source.
            let random = RandomState::new().hash_one(attempt);
            let path = parent.join(format!("tmp{random:016x}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(TempDirectory(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}
