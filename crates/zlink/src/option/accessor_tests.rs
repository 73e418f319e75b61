//! The methods made from the table, on a stand-in for `Socket` that only keeps options.

use std::cell::RefCell;
use std::time::Duration;

use zlink_zmtp::SocketType;

use super::accessors::socket_accessors;
use super::{Applied, Fetched, Kind, SocketAction, SocketOptions, get, id, lookup, set};
use crate::Error;
use crate::curve::SecretKey;

struct Shelf {
    socket_type: SocketType,
    options: RefCell<SocketOptions>,
    actions: RefCell<Vec<(SocketAction, Vec<u8>)>>,
}

#[allow(
    dead_code,
    reason = "one method of each kind is called; that all of them compile is part of the test"
)]
impl Shelf {
    socket_accessors!();

    fn new(socket_type: SocketType) -> Self {
        Self { socket_type, options: RefCell::default(), actions: RefCell::default() }
    }

    fn set_option(&self, id: i32, value: &[u8]) -> Result<(), Error> {
        if let Applied::Action(action) = set(&mut self.options.borrow_mut(), self.socket_type, id, value)? {
            self.actions.borrow_mut().push((action, value.to_vec()));
        }
        Ok(())
    }

    fn option_int(&self, id: i32) -> Result<i32, Error> {
        let mut out = [0; 4];
        if let Fetched::Live(action) = get(&self.options.borrow(), self.socket_type, id, &mut out)? {
            action.write_int(&mut out, 1)?;
        }
        Ok(i32::from_ne_bytes(out))
    }

    fn option_bytes(&self, id: i32) -> Result<Vec<u8>, Error> {
        let len = match lookup(id).map(|row| &row.kind) {
            Some(Kind::Word { .. } | Kind::Long { .. }) => 8,
            Some(Kind::Key { .. }) => 32,
            _ => 300,
        };
        let mut out = vec![0; len];
        let length = match get(&self.options.borrow(), self.socket_type, id, &mut out)? {
            Fetched::Written(length) => length,
            Fetched::Live(action) => action.write_text(&mut out, "inproc://here")?,
        };
        out.truncate(length);
        Ok(out)
    }
}

#[test]
fn typed_methods_set_and_return_what_they_name() -> Result<(), Error> {
    let socket = Shelf::new(SocketType::Dealer);
    socket.set_send_hwm(7)?;
    socket.set_conflate(true)?;
    socket.set_affinity(u64::MAX)?;
    socket.set_max_message_size(1 << 40)?;
    socket.set_routing_id(b"\x01id")?;
    socket.set_bind_to_device("eth0")?;
    socket.set_probe_router(true)?;
    let key = SecretKey::new([7; 32]);
    socket.set_curve_secret_key(&key)?;
    socket.set_curve_public_key(&key.public_key())?;
    assert_eq!((socket.curve_secret_key()?, socket.curve_public_key()?), (key.clone(), key.public_key()));
    assert_eq!((socket.send_hwm()?, socket.receive_hwm()?), (7, 1000));
    assert_eq!((socket.conflate()?, socket.immediate()?), (true, false));
    assert_eq!((socket.affinity()?, socket.max_message_size()?), (u64::MAX, 1 << 40));
    assert_eq!((socket.routing_id()?, socket.bind_to_device()?), (b"\x01id".to_vec(), "eth0".to_owned()));
    assert!(socket.options.borrow().probe_router);
    assert_eq!((socket.last_endpoint()?, socket.receive_more()?), ("inproc://here".to_owned(), true));
    Ok(())
}

#[test]
fn times_are_durations_and_no_end_is_none() -> Result<(), Error> {
    let socket = Shelf::new(SocketType::Dealer);
    assert_eq!((socket.linger()?, socket.heartbeat_timeout()?), (None, None));
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_receive_timeout(Some(Duration::from_micros(1_001)))?;
    socket.set_heartbeat_timeout(Duration::from_secs(3))?;
    socket.set_heartbeat_ttl(Duration::from_millis(199))?;
    socket.set_batch_timeout(Duration::from_micros(50))?;
    assert_eq!(socket.linger()?, Some(Duration::ZERO));
    assert_eq!(socket.receive_timeout()?, Some(Duration::from_millis(2)));
    assert_eq!(socket.heartbeat_timeout()?, Some(Duration::from_secs(3)));
    assert_eq!(socket.heartbeat_ttl()?, Duration::from_millis(100));
    assert_eq!(socket.batch_timeout()?, Duration::from_micros(50));
    socket.set_linger(None)?;
    assert_eq!(socket.linger()?, None);
    assert!(socket.set_linger(Some(Duration::MAX)).is_err());
    assert!(socket.set_batch_timeout(Duration::from_secs(2)).is_err());
    assert_eq!(socket.option_int(id::LINGER)?, -1);
    Ok(())
}

#[test]
fn methods_of_other_socket_types_fail() {
    let socket = Shelf::new(SocketType::Push);
    assert!(socket.set_router_mandatory(true).is_err());
    assert!(socket.subscribe(b"a").is_err());
    assert!(socket.topics_count().is_err());
}

#[test]
fn subscriptions_are_handed_to_the_socket() -> Result<(), Error> {
    let socket = Shelf::new(SocketType::Sub);
    socket.subscribe(b"a")?;
    socket.unsubscribe(b"")?;
    let expected = [(SocketAction::Subscribe, b"a".to_vec()), (SocketAction::Unsubscribe, Vec::new())];
    assert_eq!(*socket.actions.borrow(), expected);
    Ok(())
}
