//! The queue under every interleaving of its threads.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p zlink-pipe --test loom --release`.
//!
//! A thread that must be woken waits on a condition variable here, so that a wake-up the queue does not ask
//! for leaves every thread blocked, which loom reports. The connection is a model of the engine's: a write half
//! under its own lock, and a kernel that takes a given number of bytes.
#![cfg(loom)]

use std::collections::VecDeque;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use zlink_pipe::{Body, Cursor, Entry, Holder, Pushed, Queue, QueueConfig, Staging, Taken, Watch};

/// Bytes of a model message: a header of two bytes and one of body, its number.
const FRAME: usize = 3;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Three preemptions find what needs a few threads to meet; all of them take hours.
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 10_000;
    builder.check(model);
}

fn config(hwm: usize) -> QueueConfig {
    QueueConfig { hwm, ..QueueConfig::default() }
}

/// Something to wait for: what an inbox or an I/O thread's mailbox is to the engine.
struct Mailbox<T> {
    news: Mutex<VecDeque<T>>,
    changed: Condvar,
}

impl<T> Mailbox<T> {
    fn new() -> Arc<Self> {
        Arc::new(Mailbox { news: Mutex::new(VecDeque::new()), changed: Condvar::new() })
    }

    fn post(&self, news: T) {
        self.news.lock().unwrap().push_back(news);
        self.changed.notify_one();
    }

    fn wait(&self) -> T {
        let mut news = self.news.lock().unwrap();
        loop {
            match news.pop_front() {
                Some(one) => return one,
                None => news = self.changed.wait(news).unwrap(),
            }
        }
    }

    fn poll(&self) -> Option<T> {
        self.news.lock().unwrap().pop_front()
    }
}

mod connection;
mod locks;
mod socket;
