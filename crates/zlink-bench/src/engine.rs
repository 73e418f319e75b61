//! The engines to compare, as data.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Kind, Mechanism, Pattern, Transport};

/// The name of the engine all others are compared with.
pub(crate) const REFERENCE: &str = "libzmq";
/// The name of its second measurement, whose difference from the first is noise.
pub(crate) const REFERENCE_AGAIN: &str = "libzmq (A/A)";

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
}

impl Engine {
    pub(crate) fn reference() -> Self {
        Self::library(REFERENCE, libzmq_reference::shared_object())
    }

    pub(crate) fn reference_again() -> Self {
        Self::library(REFERENCE_AGAIN, libzmq_reference::shared_object())
    }

    pub(crate) fn library(name: &str, path: &Path) -> Self {
        Self { name: name.into(), kind: EngineKind::Library(path.into()) }
    }

    pub(crate) fn raw() -> Self {
        Self { name: "raw".into(), kind: EngineKind::Raw }
    }

    pub(crate) fn zlink_rs() -> Self {
        let kind = if cfg!(feature = "zlink-rs") {
            EngineKind::ZlinkRs
        } else {
            EngineKind::Unavailable("built without the feature zlink-rs".into())
        };
        Self { name: "zlink-rs".into(), kind }
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
        match self.kind {
            EngineKind::Raw if cell.kind == Kind::Connect => Some("a plain socket has no handshake"),
            EngineKind::Raw if cell.transport == Transport::Inproc => {
                Some("there is no socket between two threads")
            }
            EngineKind::Raw if cell.pattern == Pattern::DealerRouter => {
                Some("a plain socket has no routing ids")
            }
            EngineKind::ZlinkRs if cell.pattern == Pattern::DealerRouter => {
                Some("the harness drives no multipart messages through the Rust API")
            }
            EngineKind::ZlinkRs if cell.pattern == Pattern::PubSub => {
                Some("the harness sets no subscription through the Rust API")
            }
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
    if ["libzmq", "zlink", "zlink-rs", "raw", REFERENCE_AGAIN].contains(&name) {
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
