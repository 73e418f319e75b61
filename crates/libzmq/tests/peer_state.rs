//! `zmq_socket_get_peer_state`.

use common::api::*;

mod common;

with_each_library! {
    a_peer_is_writable_until_it_is_full,
    only_routers_have_peers_with_names,
}

const POLLOUT: i32 = 2;

fn state(socket: &Socket, peer: &[u8]) -> i32 {
    zmq!(zmq_socket_get_peer_state(socket.0, peer.as_ptr().cast(), peer.len()))
}

fn named(context: &Context, name: &[u8], endpoint: &str) -> Socket {
    let dealer = context.socket(DEALER);
    assert_done(zmq!(zmq_setsockopt(dealer.0, ROUTING_ID, name.as_ptr().cast(), name.len())));
    dealer.set(RCVHWM, 1);
    dealer.connect(endpoint);
    dealer.send(b"here", 0);
    dealer
}

fn a_peer_is_writable_until_it_is_full() {
    for endpoint in ["inproc://peers", "tcp://127.0.0.1:*", "ipc://*"] {
        let context = Context::new();
        let router = context.socket(ROUTER);
        router.set(SNDHWM, 1);
        router.bind(endpoint);
        let bound = router.last_endpoint();
        let (full, idle) = (named(&context, b"full", &bound), named(&context, b"idle", &bound));
        for _ in 0..2 {
            router.recv();
            assert_eq!(router.recv(), b"here");
        }
        assert_eq!((state(&router, b"full"), state(&router, b"idle")), (POLLOUT, POLLOUT));
        let body = vec![0; 100_000];
        // What has left the socket makes room again.
        while state(&router, b"full") == POLLOUT {
            router.send(b"full", SNDMORE);
            router.send(&body, 0);
        }
        assert_eq!(state(&router, b"idle"), POLLOUT);
        drop((full, idle));
        // Until the router has noticed.
        while state(&router, b"full") >= 0 {
            router.get(EVENTS);
        }
        assert_fails(state(&router, b"full"), -1, EHOSTUNREACH);
    }
}

fn only_routers_have_peers_with_names() {
    let context = Context::new();
    let (router, dealer) = (context.socket(ROUTER), context.socket(DEALER));
    assert_fails(state(&dealer, b"peer"), -1, ENOTSUP);
    assert_fails(state(&router, b"peer"), -1, EHOSTUNREACH);
    assert_fails(
        zmq!(zmq_socket_get_peer_state(std::ptr::null_mut(), b"x".as_ptr().cast(), 1)),
        -1,
        ENOTSOCK,
    );
}
