use std::net::UdpSocket;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use zlink::fuzzing::peer_address;
use zlink::{Context, Message, Socket, SocketType};
use zlink_zmtp::datagram::split;

use crate::input::Input;

const GROUPS: [&[u8]; 3] = [b"", b"a", b"ab"];
/// No input has it.
const END: &[u8] = b"\xC0end";

/// A DISH and a DGRAM, each with what is needed to reach it.
struct Rig {
    dish: Socket,
    dgram: Socket,
    targets: [String; 2],
    sender: UdpSocket,
    _context: Context,
}

static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| {
    let context = Context::new();
    let bound = |socket_type| {
        let socket = context.socket(socket_type).unwrap();
        socket.set_receive_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.bind("udp://127.0.0.1:*").unwrap();
        let target = socket.last_endpoint().unwrap().replace("udp://", "");
        (socket, target)
    };
    let ((dish, first), (dgram, second)) = (bound(SocketType::Dish), bound(SocketType::Dgram));
    GROUPS.iter().chain([&END]).for_each(|group| dish.join(group).unwrap());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    Mutex::new(Rig { dish, dgram, targets: [first, second], sender, _context: context })
});

/// Datagrams to a DISH, which takes those of its groups and no others, and to a DGRAM, which takes all as they are; and
/// addresses to send to, which are read as they are written.
pub fn datagrams(data: &[u8]) {
    if let Some(shown) = peer_address(data) {
        assert_eq!(peer_address(shown.as_bytes()), Some(shown.clone()));
        assert_eq!(peer_address((shown.clone() + "\0").as_bytes()), Some(shown));
    }
    let rig = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input(data);
    let mut datagrams = Vec::new();
    while !input.is_empty() && datagrams.len() < 16 {
        let length = usize::from(input.byte());
        let (datagram, rest) = input.0.split_at(length.min(input.0.len()));
        datagrams.push(datagram.to_vec());
        input = Input(rest);
    }
    let own = format!("{}\0", rig.sender.local_addr().unwrap());
    let end = [&[END.len() as u8], END].concat();
    for datagram in datagrams.iter().chain([&end]) {
        rig.targets.iter().for_each(|target| assert!(rig.sender.send_to(datagram, target).is_ok()));
    }
    let wanted = datagrams.iter().filter_map(|datagram| split(datagram).ok());
    for (group, body) in wanted.filter(|(group, _)| GROUPS.contains(group) || *group == END) {
        let message = rig.dish.recv().unwrap();
        assert_eq!((message.group(), &*message), (group, body));
    }
    assert_eq!(rig.dish.recv().unwrap().group(), END);
    for datagram in datagrams.iter().chain([&end]) {
        let parts: Vec<Message> = rig.dgram.recv_multipart().unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((&*parts[0], &*parts[1]), (own.as_bytes(), &datagram[..]));
    }
}
