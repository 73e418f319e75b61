//! Reads the peer's greeting, and decides from it which version the peer speaks.
//!
//! Source: 37/ZMTP, "Detecting ZMTP 1.0 and 2.0 Peers".

use crate::mechanism::NAME_LEN;

const SIGNATURE_LEN: usize = 10;
const LEN_TO_REVISION: usize = 11;
const LEN_2_0: usize = 12;
const LEN_3: usize = 64;

const REVISION: usize = 10;
const AS_SERVER: usize = 32;
/// In a ZMTP 2.0 greeting, which ends here.
const SOCKET_TYPE: usize = 11;
/// From ZMTP 3.0 on.
const MINOR: usize = 11;
const MECHANISM: usize = 12;

/// What the bytes so far have told. Each event comes once, in this order, one branch of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// ZMTP 1.0 without a greeting: [`Greeting::received`] starts the routing-id frame.
    Unversioned,
    /// The signature is there: the peer is ready for our major version.
    Signature,
    /// The peer is older than 3.0 and expects our socket type and routing id.
    OldRevision { revision: u8 },
    /// The peer speaks 3.0 or later and expects the rest of our greeting.
    NewRevision,
    /// The greeting of a peer older than 3.0 is complete.
    OldComplete { revision: u8, socket_type: u8 },
    /// The greeting of a peer of 3.0 or later is complete.
    NewComplete { version: (u8, u8), mechanism: [u8; NAME_LEN], as_server: bool },
}

#[derive(Debug)]
pub(super) struct Greeting {
    bytes: [u8; LEN_3],
    len: usize,
    /// The next length at which there is something to tell.
    wanted: usize,
}

impl Greeting {
    pub(super) fn new() -> Self {
        Self { bytes: [0; LEN_3], len: 0, wanted: 1 }
    }

    /// The bytes taken so far.
    pub(super) fn received(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Takes bytes up to the next event, and says how many. `None`: all are taken, more are needed.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Event>) {
        let mut taken = 0;
        loop {
            let n = (self.wanted - self.len).min(bytes.len() - taken);
            self.bytes[self.len..self.len + n].copy_from_slice(&bytes[taken..taken + n]);
            self.len += n;
            taken += n;
            if self.len < self.wanted {
                return (taken, None);
            }
            if self.wanted == 1 && self.bytes[0] == 0xff {
                self.wanted = SIGNATURE_LEN;
            } else {
                return (taken, Some(self.event()));
            }
        }
    }

    /// What there is to tell at length `wanted`, and where to stop next. The padding and the filler
    /// have no significance.
    fn event(&mut self) -> Event {
        let revision = self.bytes[REVISION];
        // The tenth byte is 0x7f in a signature. In a frame header it is the flags byte, and even.
        let signature = self.bytes[0] == 0xff && self.bytes[SIGNATURE_LEN - 1] & 1 == 1;
        match self.len {
            LEN_3 => {
                let mut mechanism = [0; NAME_LEN];
                mechanism.copy_from_slice(&self.bytes[MECHANISM..MECHANISM + NAME_LEN]);
                // Whatever comes after 3.1 must accept 3.1.
                let version = if (revision, self.bytes[MINOR]) == (3, 0) { (3, 0) } else { (3, 1) };
                let as_server = self.bytes[AS_SERVER] == 1;
                Event::NewComplete { version, mechanism, as_server }
            }
            LEN_2_0 => Event::OldComplete { revision, socket_type: self.bytes[SOCKET_TYPE] },
            // Revision 2 was never released; 37/ZMTP counts it as ZMTP 2.0.
            LEN_TO_REVISION if revision <= 2 => {
                self.wanted = LEN_2_0;
                Event::OldRevision { revision }
            }
            LEN_TO_REVISION => {
                self.wanted = LEN_3;
                Event::NewRevision
            }
            _ if signature => {
                self.wanted = LEN_TO_REVISION;
                Event::Signature
            }
            _ => Event::Unversioned,
        }
    }
}
