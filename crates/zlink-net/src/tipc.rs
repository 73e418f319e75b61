//! Socket addresses of TIPC, the protocol of clusters that Linux has, for the socket functions of rustix.
//!
//! Neither rustix nor another crate that is kept up has them.
//!
//! Source: `linux/tipc.h`.

use std::mem::{MaybeUninit, size_of};

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque, SocketAddrStorage};
use rustix::net::{AddressFamily, SocketAddrAny};

/// What `addrtype` says of the three words behind it.
const SERVICE_RANGE: u8 = 1;
const SERVICE: u8 = 2;
const SOCKET: u8 = 3;

/// What is bound is known in the whole cluster.
const CLUSTER_SCOPE: i8 = 2;

/// An address of TIPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// One socket: how the system names those that are bound and those that are not.
    Socket {
        /// The node it is on; 0 if that is in no cluster.
        node: Node,
        /// Its number on that node.
        reference: u32,
    },
    /// An instance of a service, to connect to.
    Service {
        /// The number of the service; those below 64 are the system's own.
        service: u32,
        /// The number of the instance.
        instance: u32,
        /// Where to look for it; node 0 is everywhere, the nearest first.
        domain: Node,
    },
    /// Instances of a service, to bind to.
    Range {
        /// The number of the service; those below 64 are the system's own.
        service: u32,
        /// The number of the first instance.
        lower: u32,
        /// The number of the last instance.
        upper: u32,
    },
}

/// A node, or all nodes of a cluster or zone: 8 bits of zone, 12 of cluster, 12 of node, where 0 is all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node(pub u32);

impl Node {
    /// The node `zone.cluster.node`; `None` if a number has more bits than there are for it.
    pub fn new(zone: u32, cluster: u32, node: u32) -> Option<Node> {
        let fits = zone < 1 << 8 && cluster < 1 << 12 && node < 1 << 12;
        fits.then_some(Node(zone << 24 | cluster << 12 | node))
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0 >> 24, self.0 >> 12 & 0xfff, self.0 & 0xfff)
    }
}

/// `struct sockaddr_tipc`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Raw {
    family: u16,
    kind: u8,
    scope: i8,
    words: [u32; 3],
}

impl Address {
    /// The address that the system has given, if it is one of TIPC and of a kind known here.
    pub fn of(address: &SocketAddrAny) -> Option<Address> {
        if address.address_family() != AddressFamily::TIPC {
            return None;
        }
        let mut storage = MaybeUninit::<SocketAddrStorage>::zeroed();
        // SAFETY: the storage is writable and of the size that is asked for.
        unsafe { address.write_sockaddr(storage.as_mut_ptr()) };
        // SAFETY: the storage is larger than `Raw` (asserted below), was zeroed as a whole before it was written to, and
        // all of `Raw` are integers, for which any bytes will do. The read does not ask for an alignment.
        let raw = unsafe { storage.as_ptr().cast::<Raw>().read_unaligned() };
        let [first, second, third] = raw.words;
        match raw.kind {
            SOCKET => Some(Address::Socket { node: Node(second), reference: first }),
            SERVICE => Some(Address::Service { service: first, instance: second, domain: Node(third) }),
            SERVICE_RANGE => Some(Address::Range { service: first, lower: second, upper: third }),
            _ => None,
        }
    }

    fn raw(&self) -> Raw {
        let (kind, scope, words) = match *self {
            Address::Socket { node, reference } => (SOCKET, 0, [reference, node.0, 0]),
            Address::Service { service, instance, domain } => (SERVICE, 0, [service, instance, domain.0]),
            Address::Range { service, lower, upper } => {
                (SERVICE_RANGE, CLUSTER_SCOPE, [service, lower, upper])
            }
        };
        Raw { family: AddressFamily::TIPC.as_raw(), kind, scope, words }
    }
}

const _: () = assert!(size_of::<Raw>() == 16 && size_of::<Raw>() <= size_of::<SocketAddrStorage>());

// SAFETY: the closure gets a pointer to a `struct sockaddr_tipc`, as which `Raw` is laid out, and its length. It is alive
// while the closure runs.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let raw = self.raw();
        f((&raw const raw).cast(), size_of::<Raw>() as SocketAddrLen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was() {
        let node = Node::new(1, 2, 3).expect("it fits");
        for address in [
            Address::Socket { node, reference: u32::MAX },
            Address::Service { service: 64, instance: 1, domain: node },
            Address::Range { service: u32::MAX, lower: 5, upper: 6 },
        ] {
            assert_eq!(Address::of(&address.as_any()), Some(address));
        }
    }

    #[test]
    fn addresses_of_other_families_and_kinds_are_none() {
        let ip = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
        assert_eq!(Address::of(&ip.as_any()), None);
    }

    #[test]
    fn the_layout_is_that_of_the_header() {
        let raw = Address::Range { service: 0x01020304, lower: 5, upper: 6 }.raw();
        assert_eq!((raw.family, raw.kind, raw.scope, raw.words), (30, 1, 2, [0x01020304, 5, 6]));
        let raw = Address::Socket { node: Node(7), reference: 8 }.raw();
        assert_eq!((raw.kind, raw.words), (3, [8, 7, 0]));
    }

    #[test]
    fn nodes_have_three_numbers_of_8_12_and_12_bits() {
        let last = Node::new(255, 4095, 4095).expect("it fits");
        assert_eq!((last.0, last.to_string()), (u32::MAX, "255.4095.4095".into()));
        assert_eq!(Node::new(1, 0, 10).map(|node| node.to_string()), Some("1.0.10".into()));
        for (zone, cluster, node) in [(256, 0, 0), (0, 4096, 0), (0, 0, 4096), (u32::MAX, 0, 0)] {
            assert_eq!(Node::new(zone, cluster, node), None);
        }
    }
}
