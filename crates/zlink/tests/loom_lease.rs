//! The lease under every interleaving of its holder and the I/O thread.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p zlink-mq --test loom_lease --release`.
//!
//! A connection is modelled by who reads it: its lease, under the lock that the engine's connection has too.
#![cfg(loom)]

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

#[path = "../src/engine/lease_state.rs"]
mod lease_state;
use lease_state::LeaseState;

struct Model {
    state: LeaseState,
    /// Whether the lease of each connection is out.
    leases: [Mutex<bool>; 2],
    /// Looks at the connections' leases that the holder asked for.
    reviews: AtomicUsize,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Model {
            state: LeaseState::new(),
            leases: [Mutex::new(true), Mutex::new(true)],
            reviews: AtomicUsize::new(0),
        })
    }

    fn lease(&self, connection: usize) -> bool {
        *self.leases[connection].lock().unwrap()
    }

    /// The holder waits once. What it waits on must be its own all the while.
    fn wait(&self, seen: &mut u64) {
        if !self.state.begin_wait(seen) {
            for lease in &self.leases {
                *lease.lock().unwrap() = true;
            }
        }
        for connection in 0..self.leases.len() {
            assert!(self.lease(connection), "it waits for a connection that it may not read");
        }
        if self.state.end_wait() {
            self.reviews.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The I/O thread's look at one lease.
    fn review(&self, connection: usize, last_visit: &mut u64) {
        let mut lease = self.leases[connection].lock().unwrap();
        if *lease && self.state.may_revoke(last_visit) {
            *lease = false;
        }
    }
}

#[test]
fn a_lease_is_never_taken_back_from_a_holder_that_waits() {
    loom::model(|| {
        let model = Model::new();
        let holder = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut seen = 0;
                model.wait(&mut seen);
                model.wait(&mut seen);
            })
        };
        for connection in [0, 1] {
            model.review(connection, &mut 0);
        }
        holder.join().unwrap();
    });
}

#[test]
fn two_io_threads_never_take_leases_back_from_a_holder_that_waits() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(4);
    builder.check(|| {
        let model = Model::new();
        let threads = [0, 1].map(|connection| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.review(connection, &mut 0))
        });
        model.wait(&mut 0);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_lease_that_is_left_alone_is_looked_after_again_when_its_holder_goes() {
    loom::model(|| {
        let model = Model::new();
        assert!(model.state.begin_wait(&mut 0));
        let io_thread = {
            let model = Arc::clone(&model);
            // Each connection's look decides by itself.
            thread::spawn(move || [model.state.leave_alone(), model.state.leave_alone()])
        };
        if model.state.end_wait() {
            model.reviews.fetch_add(1, Ordering::SeqCst);
        }
        let left_alone = io_thread.join().unwrap();
        let asked = model.reviews.load(Ordering::SeqCst) > 0;
        assert!(asked || left_alone == [false, false], "nobody looks after a lease that is out");
    });
}
