//! Binding and connecting.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use zlink_pipe::{Credit, Queue, QueueConfig};
use zlink_zmtp::handshake::DEFAULT_MAX_COMMAND_SIZE;
use zlink_zmtp::{HandshakeConfig, SocketType};

use super::direct::is_enabled;
#[cfg(feature = "wss")]
use super::tls::tls_role;
use super::{Core, Socket, linger_time};
use crate::attach::{Attachment, Link, Marks};
use crate::engine::{
    Command, ConnectTo, DatagramSession, EndpointId, EngineConfig, Form, IoShared, ListenerHandle, PipeSide,
    Port, ReconnectStop, SessionHandle,
};
use crate::error::{Error, Result};
use crate::inbox::PipeId;
use crate::inproc::InprocEnd;
use crate::monitor::{Ends, EventKind};
use crate::option::SocketOptions;
use crate::transport::{
    AcceptFilter, DatagramSocket, Endpoint, EndpointError, Listener, Negotiation, Proxy, TransportConfig,
    TransportError,
};

/// `ZMQ_NOTIFY_CONNECT` and `ZMQ_NOTIFY_DISCONNECT`.
const NOTIFY_CONNECT: i32 = 1;
const NOTIFY_DISCONNECT: i32 = 2;

/// Without TLS there are no `wss` endpoints.
#[cfg(not(feature = "wss"))]
fn tls_role(_: &Endpoint, _: &SocketOptions, _: bool) -> Result<Option<crate::transport::TlsRole>> {
    Ok(None)
}

/// Something bound or connected.
pub(super) struct Record {
    /// As it was resolved, and as the caller wrote it: unbind and disconnect take either.
    name: String,
    given: String,
    kind: RecordKind,
}

enum RecordKind {
    Bound {
        id: EndpointId,
        io: Arc<IoShared>,
        listener: Arc<ListenerHandle>,
        port: Arc<Port>,
    },
    /// The pipe is there at once, or with the connection (`ZMQ_IMMEDIATE`).
    Connected {
        id: EndpointId,
        io: Arc<IoShared>,
        pipe: Option<PipeId>,
    },
    /// A datagram socket.
    Datagrams {
        bound: bool,
        pipe: PipeId,
        /// The longest datagram it can send, in bytes.
        longest: usize,
    },
    BoundInproc,
    ConnectedInproc {
        pipe: PipeId,
    },
}

impl Record {
    /// What the caller wrote, unless the system chose a part of it: that names no endpoint.
    fn given_name(&self) -> Option<&String> {
        let address = match self.given.split_once("://") {
            Some(("ws" | "wss", rest)) => rest.split('/').next().unwrap_or_default(),
            _ => &self.given,
        };
        let chosen = self.kind.is_bound() && (address.ends_with('*') || address.ends_with(":0"));
        (!chosen).then_some(&self.given)
    }
}

impl RecordKind {
    /// The pipe of a connect.
    fn pipe(&self) -> Option<PipeId> {
        match self {
            RecordKind::Connected { pipe, .. } => *pipe,
            RecordKind::Datagrams { pipe, .. } | RecordKind::ConnectedInproc { pipe } => Some(*pipe),
            RecordKind::Bound { .. } | RecordKind::BoundInproc => None,
        }
    }

    fn is_bound(&self) -> bool {
        matches!(
            self,
            RecordKind::Bound { .. } | RecordKind::Datagrams { bound: true, .. } | RecordKind::BoundInproc
        )
    }
}

impl Socket {
    /// Accepts connections at `endpoint`: `tcp://interface:port`, `ws://interface:port/path`, `ipc://path`,
    /// `inproc://name` or, where the kernel has them, `tipc://{service,lower,upper}`
    /// and `vsock://cid:port`; DISH and DGRAM receive datagrams at `udp://interface:port`. A port of `*` or 0 is chosen by the
    /// system; [`last_endpoint`](Self::last_endpoint) tells which.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`] if the endpoint is not well formed or its transport unknown,
    /// [`Error::IncompatibleTransport`] if the socket's type does not bind over it, [`Error::AddressInUse`] and
    /// [`Error::Os`] if it cannot be bound.
    ///
    /// Source: `zmq_bind`(3).
    pub fn bind(&self, endpoint: &str) -> Result<()> {
        let mut core = self.enter_aside()?;
        let parsed = self.parse(endpoint, true, &core.options)?;
        let failed = |error: &TransportError| {
            self.monitor.emit(EventKind::BindFailed, error.errno() as u32, &Ends::not_bound(endpoint));
        };
        let (name, kind) = match &parsed {
            Endpoint::Inproc(name) => {
                let end = self.inproc_end(&core.options);
                self.context.names.bind(name, end)?;
                // Connects that waited for the name have posted news already.
                self.take_news(&mut core)?;
                self.inbox.nudge_watcher();
                (parsed.to_string(), RecordKind::BoundInproc)
            }
            Endpoint::Tcp(_) | Endpoint::Ipc(_) | Endpoint::Tipc(_) | Endpoint::Vsock(_) => {
                let io = self.context.choose_io_thread(core.options.affinity)?;
                let config = self.config_for(&parsed, &core.options, true)?;
                let listener = Listener::bind(&parsed, &config.transport).inspect_err(failed)?;
                let name = listener.local_endpoint().to_owned();
                let fd = listener.as_fd().as_raw_fd() as u32;
                self.monitor.emit(EventKind::Listening, fd, &Ends::bound(&name));
                let id = EndpointId::new();
                let listener = ListenerHandle::new(listener, Arc::clone(&io));
                let port = self.port(id, config);
                let (to_thread, to_port) = (Arc::clone(&listener), Arc::clone(&port));
                io.post(Command::Listen { id, listener: to_thread, port: to_port });
                (name, RecordKind::Bound { id, io, listener, port })
            }
            Endpoint::Udp(udp) => {
                let bind = |config: &TransportConfig| DatagramSocket::bind(udp, config).inspect_err(failed);
                self.open_datagrams(&mut core, bind)?
            }
        };
        self.add_record(&mut core, Record { name, given: endpoint.to_owned(), kind });
        Ok(())
    }

    /// Connects to `endpoint`, in the background, and again whenever the connection is lost. What is sent
    /// meanwhile is queued, unless `ZMQ_IMMEDIATE` is set. Both sides of `inproc` may come first.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`] if the endpoint is not well formed or its transport unknown,
    /// [`Error::IncompatibleTransport`] if the socket's type does not connect over it.
    ///
    /// Source: `zmq_connect`(3).
    pub fn connect(&self, endpoint: &str) -> Result<()> {
        let mut core = self.enter_aside()?;
        self.connect_in(&mut core, endpoint).map(drop)
    }

    /// Connects a PEER and returns the routing id of the peer, to which messages may be addressed at once
    /// ([`Message::set_routing_id`](zlink_pipe::Message::set_routing_id)). Else as [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] if the socket is no PEER; [`Error::NoRoutingIdYet`] if `ZMQ_IMMEDIATE` is set; those of
    /// [`connect`](Self::connect).
    ///
    /// Source: `zmq_connect_peer`(3); 51/P2P.
    pub fn connect_peer(&self, endpoint: &str) -> Result<u32> {
        let mut core = self.enter_aside()?;
        if self.socket_type != SocketType::Peer {
            return Err(Error::NotSupported);
        }
        if core.options.immediate {
            return Err(Error::NoRoutingIdYet);
        }
        let pipe = self.connect_in(&mut core, endpoint)?;
        let index = pipe.and_then(|pipe| core.pipes.find(pipe));
        index.and_then(|index| core.pattern.routing_id(index)).ok_or(Error::HostUnreachable)
    }

    /// Connects. Returns the pipe, unless it comes with the connection.
    fn connect_in(&self, core: &mut Core, endpoint: &str) -> Result<Option<PipeId>> {
        let parsed = self.parse(endpoint, false, &core.options)?;
        let name = parsed.to_string();
        let kind = match parsed {
            Endpoint::Inproc(name) => {
                let end = self.inproc_end(&core.options);
                let pipe = self.inbox.reserve();
                let attachment = self.context.names.connect(&name, &end, pipe);
                core.attach(attachment, &self.inbox);
                RecordKind::ConnectedInproc { pipe }
            }
            endpoint @ (Endpoint::Tcp(_) | Endpoint::Ipc(_) | Endpoint::Tipc(_) | Endpoint::Vsock(_)) => {
                self.connect_remote(core, endpoint)?
            }
            Endpoint::Udp(udp) => {
                self.open_datagrams(core, |config| DatagramSocket::connect(&udp, config))?.1
            }
        };
        let pipe = match kind {
            RecordKind::Connected { pipe, .. } => pipe,
            RecordKind::ConnectedInproc { pipe } | RecordKind::Datagrams { pipe, .. } => Some(pipe),
            RecordKind::Bound { .. } | RecordKind::BoundInproc => None,
        };
        self.add_record(core, Record { name, given: endpoint.to_owned(), kind });
        Ok(pipe)
    }

    fn add_record(&self, core: &mut Core, record: Record) {
        core.last_endpoint.clone_from(&record.name);
        core.endpoints.push(record);
        self.limit_parts(core);
    }

    /// Sees to it that no part is taken that could not be sent.
    fn limit_parts(&self, core: &Core) {
        let datagrams = core.endpoints.iter().filter_map(|record| match record.kind {
            RecordKind::Datagrams { longest, .. } => Some(longest),
            _ => None,
        });
        self.longest.store(datagrams.fold(self.allowed, usize::min), Ordering::Relaxed);
    }

    fn connect_remote(&self, core: &mut Core, endpoint: Endpoint) -> Result<RecordKind> {
        let io = self.context.choose_io_thread(core.options.affinity)?;
        let mut config = self.config_for(&endpoint, &core.options, false)?;
        config.proxy = way_to(&endpoint, &core.options)?;
        let handle = SessionHandle::new(Arc::clone(&io), &self.counters);
        let id = EndpointId::new();
        let side = (!config.immediate).then(|| PipeSide {
            id: self.inbox.reserve(),
            out: Arc::new(Queue::new(config.out)),
            inward: Arc::new(Queue::new(config.inward)),
        });
        let pipe = side.as_ref().map(|side| side.id);
        let to = Box::new(ConnectTo { id, endpoint, pipe: side.clone() });
        // Before the pattern sees the pipe: should it refuse it, the session is there to be told.
        io.post(Command::Connect { to, port: self.port(id, config), handle: Arc::clone(&handle) });
        if let Some(PipeSide { id: pipe, out, inward }) = side {
            let link = Link::Session(handle);
            let attachment = Attachment { id: pipe, out, inward, link, peer: None, endpoint: Some(id) };
            core.attach(attachment, &self.inbox);
        }
        Ok(RecordKind::Connected { id, io, pipe })
    }

    /// Parses an endpoint to bind or to connect to, and sees whether its transport goes with the socket's type.
    fn parse(&self, endpoint: &str, bind: bool, options: &SocketOptions) -> Result<Endpoint> {
        use SocketType::{Dgram, Dish, Radio};
        let datagrams = endpoint.starts_with("udp://");
        // Before the address is looked at, as libzmq does.
        if datagrams && !matches!((self.socket_type, bind), (Dgram | Dish, true) | (Radio, false)) {
            return Err(Error::IncompatibleTransport);
        }
        let parsed = if bind { Endpoint::for_bind(endpoint)? } else { Endpoint::for_connect(endpoint)? };
        // What is not ZMTP has no WebSocket frames to be in.
        let web = matches!(&parsed, Endpoint::Tcp(tcp) if tcp.web().is_some());
        if (self.socket_type == Dgram && !datagrams) || (web && self.is_raw(options)) {
            return Err(Error::IncompatibleTransport);
        }
        Ok(parsed)
    }

    /// Opens a datagram socket and its pipe. Returns the endpoint's name as well.
    fn open_datagrams(
        &self,
        core: &mut Core,
        open: impl FnOnce(&TransportConfig) -> std::result::Result<DatagramSocket, TransportError>,
    ) -> Result<(String, RecordKind)> {
        let io = self.context.choose_io_thread(core.options.affinity)?;
        let config = self.engine_config(&core.options);
        let socket = open(&config.transport)?;
        let (name, longest) = (socket.name().to_owned(), socket.longest());
        let form = if self.socket_type == SocketType::Dgram { Form::Raw } else { Form::Groups };
        let bound = socket.target().is_none();
        let handle = SessionHandle::unheard(Arc::clone(&io), &self.counters);
        // Nobody but the I/O thread sends datagrams.
        let out = QueueConfig { direct: false, gather: None, ..config.out };
        let side = PipeSide {
            id: self.inbox.reserve(),
            out: Arc::new(Queue::new(out)),
            inward: Arc::new(Queue::new(config.inward)),
        };
        let (id, pipe) = (EndpointId::new(), side.id);
        let port = self.port(id, config);
        let session = DatagramSession::new(socket, form, side.clone(), port, Arc::clone(&handle));
        // Before the pattern sees the pipe: should it refuse it, the session is there to be told.
        io.post(Command::Exchange(session));
        let (link, endpoint) = (Link::Session(handle), Some(id));
        let PipeSide { out, inward, .. } = side;
        core.attach(Attachment { id: pipe, out, inward, link, peer: None, endpoint }, &self.inbox);
        Ok((name, RecordKind::Datagrams { bound, pipe, longest }))
    }

    /// Accepts no more connections at `endpoint` and ends those that stand, once what is queued for them is sent
    /// or the linger time over. What was read from them can still be received. In-process peers stay connected.
    ///
    /// As with libzmq, this and [`disconnect`](Self::disconnect) are one: whatever has that name ends.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEndpoint`] if nothing of that name is bound or connected, [`Error::Endpoint`] if it has no
    /// transport that there is, [`Error::IncompatibleTransport`] for `udp` if the socket's type has no use for it.
    ///
    /// Source: `zmq_unbind`(3).
    pub fn unbind(&self, endpoint: &str) -> Result<()> {
        self.forget_endpoint(endpoint)
    }

    /// Ends all connects to `endpoint`: what is queued is sent within the linger time, what arrived and was not read is
    /// lost. As with libzmq, this and [`unbind`](Self::unbind) are one.
    ///
    /// # Errors
    ///
    /// Those of [`unbind`](Self::unbind).
    ///
    /// Source: `zmq_disconnect`(3).
    pub fn disconnect(&self, endpoint: &str) -> Result<()> {
        self.forget_endpoint(endpoint)
    }

    /// Closes the connection to one peer of a SERVER or PEER: what is queued for it is sent within the linger time, what
    /// arrived and was not read is lost. If this socket had connected to the peer, that connect is ended.
    ///
    /// # Errors
    ///
    /// [`Error::NotSupported`] for other socket types, [`Error::HostUnreachable`] if no peer has this routing id.
    ///
    /// Source: `zmq_disconnect_peer` of libzmq's sources after 4.3.5.
    pub fn disconnect_peer(&self, routing_id: u32) -> Result<()> {
        let mut core = self.enter_aside()?;
        let index = core.pattern.pipe_of(routing_id)?;
        let pipe = core.pipes.get(index).map(|pipe| pipe.id);
        let linger = linger_time(core.options.linger);
        match core.endpoints.iter().position(|record| record.kind.pipe().is_some_and(|it| Some(it) == pipe)) {
            Some(at) => {
                let record = core.endpoints.remove(at);
                self.close_record(&mut core, record, linger);
            }
            None => core.close_pipe(index, linger, &self.inbox),
        }
        Ok(())
    }

    fn forget_endpoint(&self, endpoint: &str) -> Result<()> {
        use SocketType::{Dgram, Dish, Radio};
        let mut core = self.enter_aside()?;
        if endpoint.starts_with("udp://") && !matches!(self.socket_type, Dgram | Dish | Radio) {
            return Err(Error::IncompatibleTransport);
        }
        let parsed = Endpoint::for_connect(endpoint).or_else(|_| Endpoint::for_bind(endpoint));
        let parsed = parsed.map_err(|error| match (error, endpoint.split_once("://")) {
            (error @ EndpointError::UnknownTransport { .. }, _) => Error::from(error),
            // Of a transport that there is, an address that could never be is not there either.
            (_, Some((transport, address))) if !transport.is_empty() && !address.is_empty() => {
                Error::NoSuchEndpoint
            }
            (error, _) => Error::from(error),
        })?;
        let canonical = match &parsed {
            // 127.0.0.1 and [::ffff:127.0.0.1] are one address on a socket with IPv6.
            Endpoint::Tcp(tcp) => tcp.canonical(core.options.ipv6),
            Endpoint::Vsock(vsock) => Some(vsock.canonical()),
            Endpoint::Ipc(_) | Endpoint::Tipc(_) | Endpoint::Udp(_) | Endpoint::Inproc(_) => None,
        };
        let parsed = parsed.to_string();
        let has_name = |record: &Record| {
            let names = [Some(&record.name), record.given_name()];
            names
                .into_iter()
                .flatten()
                .any(|name| *name == parsed || name == endpoint || Some(name) == canonical.as_ref())
        };
        // Of a name within the process that the socket has bound and connected to, the bind goes first.
        let bound_here = |record: &Record| matches!(record.kind, RecordKind::BoundInproc) && has_name(record);
        let records: Vec<Record> = match core.endpoints.iter().position(bound_here) {
            Some(at) => vec![core.endpoints.remove(at)],
            None => core.endpoints.extract_if(.., |record| has_name(record)).collect(),
        };
        if records.is_empty() {
            return Err(Error::NoSuchEndpoint);
        }
        let linger = linger_time(core.options.linger);
        for record in records {
            self.close_record(&mut core, record, linger);
        }
        self.limit_parts(&core);
        Ok(())
    }

    fn close_record(&self, core: &mut Core, record: Record, linger: Option<Duration>) {
        match record.kind {
            RecordKind::Bound { id, io, listener, port } => {
                listener.close(&port);
                for (_, pipe) in core.pipes.iter_mut().filter(|(_, pipe)| pipe.endpoint == Some(id)) {
                    pipe.unbind();
                }
                io.post(Command::Unbind { id, linger });
            }
            RecordKind::Connected { id, io, pipe } => match pipe.and_then(|pipe| core.pipes.find(pipe)) {
                Some(index) => core.close_pipe(index, linger, &self.inbox),
                None => {
                    io.post(Command::CloseEndpoint(id));
                    core.retired
                        .iter_mut()
                        .filter(|end| Some(end.id) == pipe)
                        .for_each(|end| end.close(linger));
                }
            },
            RecordKind::Datagrams { pipe, .. } => {
                if let Some(index) = core.pipes.find(pipe) {
                    core.close_pipe(index, linger, &self.inbox);
                }
            }
            RecordKind::BoundInproc => {
                let name = record.name.trim_start_matches("inproc://");
                self.context.names.unbind(name, &self.inbox);
            }
            RecordKind::ConnectedInproc { pipe } => {
                self.context.names.forget_pending(&self.inbox, pipe);
                if let Some(index) = core.pipes.find(pipe) {
                    core.close_pipe(index, linger, &self.inbox);
                }
            }
        }
    }

    /// Ends what a socket that closes has bound: the endpoints are free then.
    pub(super) fn close_bound(&self, core: &mut Core) {
        for record in core.endpoints.extract_if(.., |record| record.kind.is_bound()) {
            match &record.kind {
                RecordKind::Bound { id, io, listener, port } => {
                    listener.close(port);
                    io.post(Command::CloseEndpoint(*id));
                }
                RecordKind::BoundInproc => {
                    let name = record.name.trim_start_matches("inproc://");
                    self.context.names.unbind(name, &self.inbox);
                }
                RecordKind::Connected { .. }
                | RecordKind::Datagrams { .. }
                | RecordKind::ConnectedInproc { .. } => {}
            }
        }
    }

    /// Ends the connects of a socket that closes, as far as they do not end with their pipes, which are closed
    /// after them.
    pub(super) fn close_connects(&self, core: &mut Core) {
        for record in std::mem::take(&mut core.endpoints) {
            if let RecordKind::Connected { id, io, pipe } = &record.kind
                && pipe.is_none_or(|pipe| core.pipes.find(pipe).is_none())
            {
                io.post(Command::CloseEndpoint(*id));
            }
        }
    }

    fn port(&self, endpoint: EndpointId, config: EngineConfig) -> Arc<Port> {
        Arc::new(Port {
            endpoint,
            inbox: Arc::clone(&self.inbox),
            config,
            monitor: Arc::clone(&self.monitor),
            counters: Arc::clone(&self.counters),
            names: Arc::clone(&self.context.names),
            _live: self.context.live(),
        })
    }

    fn inproc_end(&self, options: &SocketOptions) -> InprocEnd {
        InprocEnd {
            inbox: Arc::clone(&self.inbox),
            socket_type: self.socket_type,
            routing_id: options.routing_id.clone(),
            marks: Marks { send: options.send_hwm as usize, receive: options.receive_hwm as usize },
            conflate: self.conflates(options),
            eager: options.write_batching == 0,
            hello: options.hello_message.clone(),
            disconnect: options.disconnect_message.clone(),
        }
    }

    /// Conflation is for types whose messages stand alone.
    fn conflates(&self, options: &SocketOptions) -> bool {
        use SocketType::{Dealer, Pub, Pull, Push, Sub};
        options.conflate && matches!(self.socket_type, Dealer | Pub | Pull | Push | Sub)
    }

    /// Whether peers are no ZeroMQ sockets.
    fn is_raw(&self, options: &SocketOptions) -> bool {
        self.socket_type == SocketType::Stream || options.router_raw
    }

    /// What an endpoint of bytes needs of the options, with TLS if it is a `wss` one.
    fn config_for(&self, endpoint: &Endpoint, options: &SocketOptions, bind: bool) -> Result<EngineConfig> {
        Ok(EngineConfig { tls: tls_role(endpoint, options, bind)?, ..self.engine_config(options) })
    }

    fn engine_config(&self, options: &SocketOptions) -> EngineConfig {
        let millis = |value: i32| Duration::from_millis(u64::try_from(value).unwrap_or(0));
        let some_millis = |value: i32| (value > 0).then(|| millis(value));
        let heartbeat_interval = millis(options.heartbeat_interval);
        let raw = self.is_raw(options);
        let notify = match options.router_notify {
            _ if raw && options.stream_notify => NOTIFY_CONNECT | NOTIFY_DISCONNECT,
            changes => changes,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let queue = QueueConfig {
            hwm: options.send_hwm as usize,
            credit: Credit::OnDemand,
            local: false,
            conflate: self.conflates(options),
            direct: is_enabled(),
            gather: match options.write_batching {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
            batch_bytes: (options.batch_max_bytes.max(options.out_batch_size)) as usize,
            batch_messages: options.batch_max_messages as usize,
        };
        EngineConfig {
            socket_type: self.socket_type,
            transport: TransportConfig {
                ipv6: options.ipv6,
                backlog: options.backlog,
                send_buffer: options.send_buffer,
                receive_buffer: options.receive_buffer,
                tos: options.tos,
                priority: options.priority,
                tcp_keepalive: options.tcp_keepalive,
                tcp_keepalive_cnt: options.tcp_keepalive_count,
                tcp_keepalive_idle: options.tcp_keepalive_idle,
                tcp_keepalive_interval: options.tcp_keepalive_interval,
                tcp_max_rt: options.tcp_max_retransmit,
                bind_to_device: options.device().map(text),
                busy_poll: options.busy_poll,
                use_fd: options.use_fd,
                multicast_hops: options.multicast_hops,
                multicast_loop: options.multicast_loop,
                accept_filter: Arc::new(AcceptFilter {
                    networks: options.tcp_accept_filter.clone(),
                    uids: options.ipc_filter_uid.clone(),
                    gids: options.ipc_filter_gid.clone(),
                    pids: options.ipc_filter_pid.clone(),
                }),
            },
            tls: None,
            proxy: None,
            handshake: HandshakeConfig {
                socket_type: self.socket_type,
                routing_id: options.routing_id.clone(),
                metadata: options.metadata.iter().map(|(name, value)| (text(name), value.clone())).collect(),
                max_command_size: DEFAULT_MAX_COMMAND_SIZE,
                security: options.security(),
                zap: options.zap(),
            },
            raw,
            zap_domain: options.zap_domain.clone(),
            handshake_timeout: some_millis(options.handshake_interval),
            connect_timeout: some_millis(options.connect_timeout),
            reconnect_interval: u64::try_from(options.reconnect_interval).ok().map(Duration::from_millis),
            reconnect_interval_max: millis(options.reconnect_interval_max),
            reconnect_stop: ReconnectStop::new(options.reconnect_stop),
            heartbeat_interval,
            heartbeat_ttl: millis(options.heartbeat_ttl),
            heartbeat_timeout: match options.heartbeat_timeout {
                -1 => heartbeat_interval,
                timeout => millis(timeout),
            },
            max_message_size: u64::try_from(options.max_message_size).ok(),
            immediate: options.immediate,
            out: queue,
            inward: QueueConfig {
                hwm: options.receive_hwm as usize,
                credit: Credit::AtOnce,
                direct: false,
                ..queue
            },
            batch_timeout: u64::try_from(options.batch_timeout_us)
                .ok()
                .filter(|&timeout| timeout > 0 && options.write_batching == 1)
                .map(Duration::from_micros),
            hello: options.hello_message.clone(),
            disconnect: options.disconnect_message.clone(),
            hiccup: options.hiccup_message.clone(),
            notify_connect: notify & NOTIFY_CONNECT != 0,
            notify_disconnect: notify & NOTIFY_DISCONNECT != 0,
            in_batch: options.in_batch_size as usize,
        }
    }
}

/// The proxy by way of which `endpoint` is to be connected to, if there is one.
fn way_to(endpoint: &Endpoint, options: &SocketOptions) -> Result<Option<Proxy>> {
    // C callers may count the closing NUL in.
    let text = |bytes: &[u8]| {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    let address = text(&options.socks_proxy);
    let (Endpoint::Tcp(tcp), false) = (endpoint, address.is_empty()) else { return Ok(None) };
    let proxy = Proxy::new(&address, &options.socks_username, &options.socks_password)?;
    // What does not fit in is found now rather than at each try.
    Negotiation::new(&proxy, tcp).map_err(|_| EndpointError::Malformed {
        endpoint: endpoint.to_string(),
        reason: "the host's name has more than the 255 bytes that SOCKS allows",
    })?;
    Ok(Some(proxy))
}

impl Core {
    /// Notes the pipe of a connect that was made with its connection.
    pub(super) fn endpoint_got_pipe(&mut self, endpoint: EndpointId, pipe: PipeId) {
        for record in &mut self.endpoints {
            if let RecordKind::Connected { id, pipe: slot, .. } = &mut record.kind
                && *id == endpoint
            {
                *slot = Some(pipe);
            }
        }
    }

    /// The endpoints that were connected to, by their pipes; not those within the process.
    pub(super) fn connects(&self) -> HashMap<PipeId, &str> {
        let connects = self.endpoints.iter().filter_map(|record| match record.kind {
            RecordKind::Connected { pipe: Some(pipe), .. }
            | RecordKind::Datagrams { pipe, bound: false, .. } => Some((pipe, record.name.as_str())),
            _ => None,
        });
        connects.collect()
    }

    fn close_pipe(&mut self, index: usize, linger: Option<Duration>, inbox: &Arc<crate::inbox::Inbox>) {
        self.pattern.detached(&mut self.pipes, index);
        self.direct.forget(index);
        if let Some(mut pipe) = self.pipes.remove(index) {
            pipe.close(linger);
            inbox.free(pipe.id);
        }
    }
}
