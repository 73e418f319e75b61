//! Whom a listener takes connections from: `ZMQ_TCP_ACCEPT_FILTER` and `ZMQ_IPC_FILTER_UID`, `_GID` and `_PID`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

use nix::sys::socket::{UnixCredentials, getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, Uid, User};

use super::endpoint::decimal;

/// A network: an address of which the first `bits` count. An IPv4 network is kept as that of the mapped addresses
/// (`::ffff:0:0/96`), as which an IPv6 socket sees IPv4 peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: u128,
    /// 0 to 128.
    bits: u32,
}

const IPV4_PREFIX: u32 = 96;

impl Network {
    /// Takes `10.0.0.0/8`, `fe80::/10`, or an address that stands for itself alone. IPv6 only with `ipv6`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &[u8], ipv6: bool) -> Result<Self, &'static str> {
        // C programs may count the closing zero.
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| "not a network")?;
        let (address, bits) = match text.rsplit_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
        let address: IpAddr = bare.unwrap_or(address).parse().map_err(|_| "not an IP address")?;
        let (address, longest) = match address {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), 32),
            IpAddr::V6(v6) if ipv6 => (v6, 128),
            IpAddr::V6(_) => return Err("an IPv6 address, and ZMQ_IPV6 is off"),
        };
        let bits = match bits {
            None => longest,
            Some(bits) => decimal(bits).filter(|bits| *bits <= longest).ok_or("not a number of bits")?,
        };
        let prefix = if longest == 32 { IPV4_PREFIX } else { 0 };
        Ok(Network { address: address.to_bits(), bits: prefix + bits })
    }

    fn contains(self, address: Ipv6Addr) -> bool {
        let differing = self.address ^ address.to_bits();
        differing.leading_zeros() >= self.bits
    }
}

/// The peers a listener is for. Without a rule that concerns its transport, everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AcceptFilter {
    pub(crate) networks: Vec<Network>,
    pub(crate) uids: BTreeSet<u32>,
    pub(crate) gids: BTreeSet<u32>,
    pub(crate) pids: BTreeSet<u32>,
}

impl AcceptFilter {
    /// Whether a `tcp` peer is in one of the networks.
    pub(super) fn admits_address(&self, peer: Option<SocketAddr>) -> bool {
        let address = peer.map(|peer| match peer.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        });
        self.networks.is_empty()
            || address.is_some_and(|address| self.networks.iter().any(|network| network.contains(address)))
    }

    /// Whether the process at the other end of an `ipc` connection has one of the user, group or process ids, or its
    /// user is a member of one of the groups.
    ///
    /// The kernel tells of when the peer connected. May block in the name service, if there are groups.
    pub(super) fn admits_process(&self, connection: BorrowedFd<'_>) -> bool {
        if self.uids.is_empty() && self.gids.is_empty() && self.pids.is_empty() {
            return true;
        }
        getsockopt(&connection, PeerCredentials).is_ok_and(|peer| self.admits_credentials(&peer))
    }

    fn admits_credentials(&self, peer: &UnixCredentials) -> bool {
        self.uids.contains(&peer.uid())
            || self.gids.contains(&peer.gid())
            || u32::try_from(peer.pid()).is_ok_and(|pid| self.pids.contains(&pid))
            || self.has_member(peer.uid())
    }

    fn has_member(&self, uid: u32) -> bool {
        if self.gids.is_empty() {
            return false;
        }
        let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
        let groups = self.gids.iter().filter_map(|gid| Group::from_gid(Gid::from_raw(*gid)).ok().flatten());
        groups.into_iter().any(|group| group.mem.contains(&user.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(networks: &[&str], peer: &str) -> bool {
        let networks = networks.iter().map(|text| Network::parse(text.as_bytes(), true).unwrap()).collect();
        let filter = AcceptFilter { networks, ..AcceptFilter::default() };
        let peer: IpAddr = peer.parse().unwrap();
        filter.admits_address(Some(SocketAddr::new(peer, 1)))
    }

    #[test]
    fn a_peer_is_in_a_network_if_its_first_bits_are() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.0"),
            ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
            ("192.168.4.0/23", "192.168.5.7", "192.168.6.7"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("128.0.0.0/1", "200.1.2.3", "127.255.255.255"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::1", "::1", "::2"),
            ("[2001:db8::]/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/1", "7fff::1", "8000::"),
        ] {
            assert!(admits(&[network], inside), "{network} has {inside}");
            assert!(!admits(&[network], outside), "{network} has not {outside}");
            assert!(admits(&["203.0.113.7", network], inside), "one of several networks is enough");
        }
        assert!(admits(&["::/0"], "1.2.3.4") && admits(&["::/0"], "fe80::1"));
        assert!(admits(&[], "1.2.3.4"), "without a network everybody");
        assert!(admits(&["10.0.0.0/8"], "::ffff:10.1.1.1"), "IPv4 peers of an IPv6 socket");
        assert!(
            !AcceptFilter { networks: vec![Network { address: 0, bits: 0 }], ..Default::default() }
                .admits_address(None)
        );
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "foo",
            "0.0.0.0foo",
            "0.0.0.0/",
            "0.0.0.0/foo",
            "0.0.0.0/-1",
            "0.0.0.0/33",
            "0.0.0.0/+1",
            "0.0.0.0/99999999999",
            "0.0.0.0/ 1",
            "::/129",
            "::1%lo",
            "[::1",
            "*",
            "localhost",
            "1.2.3.4:5",
        ] {
            assert!(Network::parse(text.as_bytes(), true).is_err(), "{text:?}");
        }
        assert!(Network::parse(b"::1", false).is_err());
        assert!(Network::parse(b"\xff", true).is_err());
        assert_eq!(Network::parse(b"::1/128\0", true), Network::parse(b"::1", true));
    }

    #[test]
    fn a_process_is_told_by_its_ids() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = std::os::fd::AsFd::as_fd(&near);
        let (uid, gid) = (Uid::current().as_raw(), Gid::current().as_raw());
        let one = |id: u32| BTreeSet::from([id, 4_000_000_000]);
        let filter = |uids, gids, pids| AcceptFilter { networks: Vec::new(), uids, gids, pids };
        let none = BTreeSet::new;
        for (filter, admitted) in [
            (filter(none(), none(), none()), true),
            (filter(one(uid), none(), none()), true),
            (filter(none(), one(gid), none()), true),
            (filter(none(), none(), one(std::process::id())), true),
            (filter(one(uid + 1), one(gid + 77), one(std::process::id() + 1)), false),
            (filter(one(uid), one(gid + 77), one(1)), true),
        ] {
            assert_eq!(filter.admits_process(fd), admitted, "{filter:?}");
        }
    }
}
