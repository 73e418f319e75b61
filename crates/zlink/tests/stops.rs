//! A process that is stopped and goes on, as by Ctrl-Z and `fg`: no call of a program that handles no signals fails.

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Transport, bound, connected, wait_until_asleep};
use zlink::{Context, Events, SocketType, poll};

// In processes of their own, since all of them is stopped.
alone_over_tcp_and_ipc! {
    a_stop_ends_no_wait,
}

/// Stops this process and lets it go on after a moment.
fn stop_and_go_on() {
    let script = format!("kill -STOP {0} && sleep 0.01; kill -CONT {0}", std::process::id());
    assert!(Command::new("sh").args(["-c", &script]).status().expect("a shell").success());
}

fn a_stop_ends_no_wait(transport: Transport) {
    let context = Context::new();
    let (pull, endpoint) = bound(&context, SocketType::Pull, transport);
    let push = connected(&context, SocketType::Push, &endpoint);
    for round in 0..5_u8 {
        let waiting = AtomicBool::new(true);
        thread::scope(|scope| {
            let receiver = rustix::thread::gettid();
            let (waiting, push) = (&waiting, &push);
            scope.spawn(move || {
                for _ in 0..3 {
                    wait_until_asleep(receiver);
                    stop_and_go_on();
                }
                assert!(waiting.load(Ordering::Relaxed), "the wait has ended");
                push.send(&[round][..]).expect("send");
            });
            if round % 2 == 1 {
                let mut items = [pull.as_poll_item(Events::IN)];
                assert_eq!(poll(&mut items, None).expect("poll"), 1);
            }
            let message = pull.recv();
            waiting.store(false, Ordering::Relaxed);
            assert_eq!(*message.expect("recv"), [round]);
        });
    }
}
