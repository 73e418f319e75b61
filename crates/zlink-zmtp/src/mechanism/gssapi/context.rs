//! What the state machine asks of a security context.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::Status;

/// One side of a security context in the sense of RFC 2743.
pub(super) trait Context: Send {
    /// Takes the peer's token; none where a client begins.
    fn step(&mut self, token: Option<&[u8]>) -> Result<Progress, Status>;
    /// The name of the client, once a server's context is complete.
    fn client(&mut self) -> Result<Vec<u8>, Status>;
    /// Encrypts and signs.
    fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, Status>;
    /// Undoes what the peer's [`Context::wrap`] has done, and hands what was in the token to `take`. Returns whether that
    /// was encrypted: it may have been signed alone.
    fn unwrap(&mut self, token: &[u8], take: &mut dyn FnMut(&[u8])) -> Result<bool, Status>;
}

/// What a step has led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// For the peer; empty if there is nothing to tell.
    pub(super) token: Vec<u8>,
    /// The context is complete on this side.
    pub(super) complete: bool,
}

/// A context that one thread may use for what goes out and another for what comes in.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Box<dyn Context>>>);

impl Shared {
    pub(super) fn new(context: Box<dyn Context>) -> Self {
        Self(Arc::new(Mutex::new(context)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Box<dyn Context>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
