//! The engines to compare, as data.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Mechanism, Transport};
use crate::harness::Batching;
use crate::worker::Api;

/// The name of the engine all others are compared with.
pub(crate) const REFERENCE: &str = "libzmq";
/// The name of its second measurement, whose difference from the first is noise.
pub(crate) const REFERENCE_AGAIN: &str = "libzmq (A/A)";
/// The name of plain sockets.
pub(crate) const RAW: &str = "raw";
/// The engines that can be chosen by name.
pub(crate) const ENGINES: [&str; 6] =
    [REFERENCE, "zlink", "zlink-buffer", "zlink-io-thread", "zlink-rs", RAW];

/// How a worker runs an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineKind {
    /// A shared object with libzmq's C functions.
    Library(PathBuf),
    /// zlink's Rust API.
    ZlinkRs,
    /// Plain sockets.
    Raw,
    /// Cannot run, and why.
    Unavailable(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) kind: EngineKind,
    /// Variables its processes have in their environment besides those of the bench.
    pub(crate) environment: Vec<(String, String)>,
    /// What its sockets are set to.
    pub(crate) batching: Batching,
    /// The C functions that carry its messages, if not those of the whole run.
    pub(crate) api: Option<Api>,
    /// Nanoseconds that are wasted over each part received, on purpose.
    pub(crate) slow_ns: u64,
}

impl Engine {
    pub(crate) fn new(name: &str, kind: EngineKind) -> Self {
        Self {
            name: name.into(),
            kind,
            environment: Vec::new(),
            batching: Batching::default(),
            api: None,
            slow_ns: 0,
        }
    }

    pub(crate) fn reference() -> Self {
        Self::library(REFERENCE, libzmq_reference::shared_object())
    }

    pub(crate) fn reference_again() -> Self {
        Self::library(REFERENCE_AGAIN, libzmq_reference::shared_object())
    }

    pub(crate) fn library(name: &str, path: &Path) -> Self {
        Self::new(name, EngineKind::Library(path.into()))
    }

    pub(crate) fn raw() -> Self {
        Self::new(RAW, EngineKind::Raw)
    }

    pub(crate) fn zlink_rs() -> Self {
        let kind = if cfg!(feature = "zlink-rs") {
            EngineKind::ZlinkRs
        } else {
            EngineKind::Unavailable("built without the feature zlink-rs".into())
        };
        Self::new("zlink-rs", kind)
    }

    /// What it is set to, in words; nothing for the defaults.
    pub(crate) fn special(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let batching = Some(self.batching.describe()).filter(|text| !text.is_empty());
        let api = self.api.map(|api| match api {
            Api::Msg => "zmq_msg_send / zmq_msg_recv".to_owned(),
            Api::Buffer => "zmq_send / zmq_recv".to_owned(),
        });
        environment.chain(api).chain(batching).collect::<Vec<_>>().join(", ")
    }

    /// Why this engine has nothing to measure in `cell`, if so. Such a cell is left out, not failed.
    pub(crate) fn does_not_apply(&self, cell: &Cell) -> Option<&'static str> {
        if cell.mechanism == Mechanism::Curve {
            match self.kind {
                _ if cell.transport == Transport::Inproc => {
                    return Some("nothing is encrypted within a process");
                }
                EngineKind::Raw => return Some("a plain socket does not encrypt"),
                EngineKind::Library(ref path)
                    if path == libzmq_reference::shared_object() && !libzmq_reference::has_curve() =>
                {
                    return Some("libzmq was built without libsodium");
                }
                _ => {}
            }
        }
        if self.kind != EngineKind::Raw {
            return None;
        }
        match cell.kind {
            Kind::Connect | Kind::Idle => return Some("a plain socket has no handshake"),
            Kind::FanOut => return Some("a plain socket has no subscriptions"),
            _ => {}
        }
        match cell.transport {
            Transport::Inproc => Some("there is no socket between two threads"),
            Transport::Ws => Some("a plain socket has no WebSocket"),
            _ if cell.pattern.is_routed() => Some("a plain socket has no routing ids"),
            _ if cell.peers > 1 => Some("a plain socket has one peer"),
            _ => None,
        }
    }
}

/// Reads `NAME=PATH` of `--engine`. The path is made absolute, as a bare file name would be looked
/// for in the system's library folders.
pub(crate) fn parse_engine(text: &str) -> Result<Engine, String> {
    let (name, path) = text
        .split_once('=')
        .filter(|(name, path)| !name.is_empty() && !path.is_empty())
        .ok_or_else(|| format!("`{text}` is not NAME=PATH"))?;
    if ENGINES.contains(&name) || name == REFERENCE_AGAIN {
        return Err(format!("`{name}` is the name of a built-in engine"));
    }
    let path = std::path::absolute(path).map_err(|error| format!("`{path}`: {error}"))?;
    if !path.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    Ok(Engine::library(name, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_a_name_and_an_existing_file() {
        let path = libzmq_reference::shared_object();
        let engine = parse_engine(&format!("mine={}", path.display())).expect("both are given");
        assert_eq!(engine, Engine::library("mine", path));
    }

    #[test]
    fn an_engine_without_name_or_file_or_with_a_taken_name_is_refused() {
        let path = libzmq_reference::shared_object().display();
        for bad in ["mine", "=/x", "mine=", "mine=/no/such/file.so"] {
            assert!(parse_engine(bad).is_err(), "{bad}");
        }
        assert!(parse_engine(&format!("libzmq={path}")).is_err());
    }
}
