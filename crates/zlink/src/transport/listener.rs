//! Listening sockets of every transport.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketFlags, accept_with, getpeername, getsockname, sockopt};
use rustix::process::{ForeignRawFd, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::address::{listening_uri, tcp_addr};
use super::config::TransportConfig;
use super::endpoint::Endpoint;
use super::error::{AcceptError, AcceptFailure, TransportError, classify_accept};
use super::web::WebAddress;
use super::{ipc, pacing, tcp, tipc, vsock};

/// How many lost connections in a row one [`Listener::accept`] passes over before it lets other sources
/// have their turn; the listener stays readable.
const MAX_TRANSIENT: usize = 64;

/// A socket that listens, and for `ipc` the file it listens at, removed with it.
#[derive(Debug)]
pub(crate) struct Listener {
    // Dropped before `fd`: while the socket is open its inode is not reused, so the file is known for its
    // own.
    _file: Option<ipc::SocketFile>,
    fd: OwnedFd,
    family: AddressFamily,
    /// Connections inherit that they do not pace what they send.
    unpaced: bool,
    config: TransportConfig,
    web: Option<Arc<WebAddress>>,
    local: String,
}

/// A connection from a [`Listener`], with its options set.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: OwnedFd,
}

impl Listener {
    /// Binds to `endpoint` and listens, or takes over `config.use_fd`.
    ///
    /// May block in the name service if a `tcp` host is neither an address nor an interface.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` and what else the kernel reports; `ENODEV` for a host that
    /// is not found; `EINVAL` for `udp` and `inproc`, which have no listeners, and for a `use_fd` that does not
    /// listen or is of another family.
    pub(crate) fn bind(endpoint: &Endpoint, config: &TransportConfig) -> Result<Listener, TransportError> {
        let mut unpaced = false;
        let (fd, file) = match endpoint {
            Endpoint::Tcp(_) | Endpoint::Ipc(_) | Endpoint::Tipc(_) | Endpoint::Vsock(_)
                if config.use_fd != -1 =>
            {
                let adopted = adopt(config.use_fd, endpoint);
                (adopted.map_err(TransportError::os("use_fd"))?, None)
            }
            Endpoint::Tcp(endpoint) => {
                let (fd, without) = tcp::listen(endpoint, config)?;
                unpaced = without;
                (fd, None)
            }
            Endpoint::Ipc(endpoint) => ipc::listen(endpoint, config)?,
            Endpoint::Tipc(endpoint) => (tipc::listen(endpoint, config)?, None),
            Endpoint::Vsock(endpoint) => (vsock::listen(endpoint, config)?, None),
            Endpoint::Udp(_) | Endpoint::Inproc(_) => return Err(TransportError::os("bind")(Errno::INVAL)),
        };
        let family = getsockname(&fd).map_err(TransportError::os("getsockname"))?.address_family();
        let web = match endpoint {
            Endpoint::Tcp(endpoint) => endpoint.web().cloned(),
            _ => None,
        };
        let local = listening_uri(fd.as_fd()).map_err(TransportError::os("getsockname"))?;
        Ok(Listener {
            local: WebAddress::name(web.as_deref(), local),
            web,
            fd,
            family,
            unpaced,
            config: config.clone(),
            _file: file,
        })
    }

    /// Takes one waiting connection; `None` if there is none now.
    pub(crate) fn accept(&self) -> Result<Option<Accepted>, AcceptError> {
        for _ in 0..MAX_TRANSIENT {
            match accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(stream) => return self.prepare(stream).map(Some),
                Err(errno) => match classify_accept(errno) {
                    AcceptFailure::WouldBlock => return Ok(None),
                    AcceptFailure::Transient => {}
                    AcceptFailure::OutOfResources => {
                        return Err(AcceptError::OutOfResources(errno.into()));
                    }
                    AcceptFailure::Fatal => return Err(AcceptError::Listener(errno.into())),
                },
            }
        }
        Ok(None)
    }

    fn prepare(&self, stream: OwnedFd) -> Result<Accepted, AcceptError> {
        let fd = stream.as_fd();
        if !self.admits(fd) {
            return Err(AcceptError::Refused);
        }
        let tuned = match self.family {
            // A TCP socket has the listener's buffers; others inherit nothing.
            AddressFamily::INET => self.config.tune_tcp(fd, false),
            AddressFamily::INET6 => self.config.tune_tcp(fd, true),
            AddressFamily::UNIX => self.config.set_ipc_buffers(fd),
            _ => self.config.set_buffers(fd),
        };
        tuned.map_err(AcceptError::Dropped)?;
        if self.unpaced {
            pacing::after_accept(fd);
        }
        Ok(Accepted { stream })
    }

    /// Whether the filter lets the peer in. Without one, the kernel is not asked who it is.
    fn admits(&self, connection: BorrowedFd<'_>) -> bool {
        let filter = &self.config.accept_filter;
        match self.family {
            AddressFamily::UNIX => filter.admits_process(connection),
            AddressFamily::INET | AddressFamily::INET6 if !filter.networks.is_empty() => {
                // One that is gone already has no address.
                filter.admits_address(getpeername(connection).ok().flatten().as_ref().and_then(tcp_addr))
            }
            _ => true,
        }
    }

    /// Where the listener is reached: `tcp://127.0.0.1:43211`, `ws://127.0.0.1:43211/path`, `ipc:///path`,
    /// `ipc://@name`, `tipc://<0.0.0:1234567>`, `vsock://1:5555`, with wildcards filled in.
    pub(crate) fn local_endpoint(&self) -> &str {
        &self.local
    }

    /// What connections speak beneath ZMTP, if this is a `ws` or `wss` endpoint.
    pub(crate) fn web(&self) -> Option<&Arc<WebAddress>> {
        self.web.as_ref()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Duplicates a descriptor the application has bound and set to listen.
///
/// The number is the application's word alone, and taking ownership of a number needs unsafe code. A
/// process may ask the kernel for a duplicate of any of its own descriptors instead, and learn safely
/// whether the number means anything. The original stays the application's to close.
fn adopt(number: i32, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let fd = pidfd_getfd(own, number as ForeignRawFd, PidfdGetfdFlags::empty())?;
    let fits = match getsockname(&fd)?.address_family() {
        AddressFamily::UNIX => matches!(endpoint, Endpoint::Ipc(_)),
        AddressFamily::TIPC => matches!(endpoint, Endpoint::Tipc(_)),
        AddressFamily::VSOCK => matches!(endpoint, Endpoint::Vsock(_)),
        _ => matches!(endpoint, Endpoint::Tcp(_)),
    };
    if !fits || !sockopt::socket_acceptconn(&fd)? {
        return Err(Errno::INVAL.into());
    }
    ioctl_fionbio(&fd, true)?;
    Ok(fd)
}
