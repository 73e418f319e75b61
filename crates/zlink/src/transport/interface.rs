//! Network interfaces by name.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// The index of the interface `name`, as in the zone of `fe80::1%eth0`.
pub(super) fn index_of(name: &str) -> io::Result<u32> {
    Ok(netdevice::name_to_index(query_socket()?, name)?)
}

/// The name of the interface `index`.
pub(super) fn name_of(index: u32) -> io::Result<String> {
    Ok(netdevice::index_to_name(query_socket()?, index)?)
}

// The ioctls behind both ask for a socket, of whatever kind.
fn query_socket() -> rustix::io::Result<rustix::fd::OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

/// The first address, with port 0, of the interface `name` in the family asked for.
///
/// `None` if there is no such interface, it has no such address, or the sandbox does not let us look.
pub(super) fn address_of(name: &str, ipv6: bool) -> Option<SocketAddr> {
    let interfaces = getifaddrs().ok()?;
    interfaces
        .filter(|interface| interface.interface_name == name)
        .filter_map(|interface| interface.address)
        .find_map(|address| {
            if ipv6 {
                let v6 = address.as_sockaddr_in6()?;
                Some(SocketAddrV6::new(v6.ip(), 0, 0, v6.scope_id()).into())
            } else {
                let v4 = address.as_sockaddr_in()?;
                Some((IpAddr::V4(v4.ip()), 0).into())
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_by_name_and_by_index() {
        let index = index_of("lo").unwrap();
        assert_eq!(name_of(index).unwrap(), "lo");
        let v4 = address_of("lo", false).unwrap();
        assert!(v4.ip().is_loopback() && v4.is_ipv4() && v4.port() == 0);
    }

    #[test]
    fn an_unknown_interface_is_not_found() {
        assert!(index_of("no-such-if0").is_err());
        assert!(index_of("").is_err());
        assert!(index_of("a-name-longer-than-any-interface").is_err());
        assert!(name_of(u32::MAX).is_err());
        assert_eq!(address_of("no-such-if0", false), None);
        assert_eq!(address_of("no-such-if0", true), None);
    }
}
