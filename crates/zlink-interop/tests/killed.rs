//! A process is killed and comes back at the same place: zlink goes on with it.
//!
//! In a program of its own: a process that is started has all that its parent has open for a moment, a listener that the
//! parent closes then too, and nobody can bind its address meanwhile. Tests that unbind and bind again run elsewhere.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use zlink::SocketType::Push;
use zlink_interop::{Library, Node, Place, Transport, option};

/// How often it is killed.
const ROUNDS: usize = 3;
/// How long to wait before something that may have been lost with a connection is said again.
const PATIENCE: Duration = Duration::from_millis(20);

/// A libzmq in a process of its own, which binds a PULL and reports what it receives.
struct Victim {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Victim {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_libzmq-pull"))
            .arg(place.endpoint())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo built the program");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut victim = Victim { child, lines };
        assert_eq!(victim.line(), "bound");
        victim
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the process lives").expect("its output can be read")
    }

    /// As SIGKILL does: no farewell from the library, and whatever lies unread is gone.
    fn kill(mut self) {
        self.child.kill().expect("the process lives");
        self.child.wait().expect("the process was started here");
    }
}

#[test]
fn zlink_goes_on_with_a_process_that_was_killed_and_started_again() {
    for transport in Transport::ALL {
        let place = Place::new(transport);
        let mut push = Node::new(Library::Zlink, Push);
        push.set_int(option::RECONNECT_IVL, 5);
        push.connect(place.endpoint());
        for round in 0..ROUNDS {
            let mut victim = Victim::start(&place);
            // Said again and again, since what is said before the loss is noticed is lost.
            let (sender, stop) = std::sync::mpsc::channel::<()>();
            thread::scope(|scope| {
                let push = &mut push;
                scope.spawn(move || {
                    while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stop.recv_timeout(PATIENCE) {
                        push.send(&[format!("round {round}")]);
                    }
                });
                while victim.line() != format!("round {round}") {}
                drop(sender);
            });
            victim.kill();
        }
    }
}
