//! debug
use zlink::SocketType::*;
use zlink_interop::*;
use std::time::Duration;
#[test]
fn dbg() {
    for transport in [Transport::Ipc] { for n in [10000u32, 20000, 40000] { for delay in [false, true] {
        let mut pull = Node::new(Library::Libzmq, Pull);
        let endpoint = pull.bind(transport.wildcard());
        let h = std::thread::spawn(move || {
            let mut push = Node::new(Library::Libzmq, Push);
            push.set_unlimited();
            push.set_int(option::LINGER, -1);
            push.connect(&endpoint);
            for number in 0..n { push.send(&[vec![1u8], number.to_be_bytes().to_vec()]); }
            if delay { std::thread::sleep(Duration::from_secs(5)); }
            
        });
        let mut got = 0;
        while let Some(m) = pull.recv_within(Duration::from_secs(2)) { assert_eq!(m[1], u32::to_be_bytes(got)); got += 1; }
        println!("{transport} {n} delay {delay}: got {got}");
        println!("sender finished: {}", h.is_finished());
    }}}
}
