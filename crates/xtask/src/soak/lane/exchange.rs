//! Questions and answers.

use std::io;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{LOOK, Lane, Mode};
use crate::soak::link::{Parts, Sent};
use crate::soak::message::Head;

/// A relaxed REQ asks anew after this.
const PATIENCE: Duration = Duration::from_millis(300);

impl Lane {
    /// Asks a question if it is time, and compares the answer with it.
    pub(super) fn ask(&mut self) -> io::Result<()> {
        let mark = match self.mode {
            Mode::Still => {
                sleep(LOOK);
                return Ok(());
            }
            Mode::Holding { mark, .. } => mark,
            Mode::Going => {
                let wait = self.rhythm.wait(&mut self.random);
                if !wait.is_zero() {
                    sleep(wait.min(LOOK));
                    return Ok(());
                }
                0
            }
        };
        let feed = &mut self.outlets[0].feed;
        let head = feed.next(false, mark);
        let parts = feed.parts(&head);
        if self.link.send(None, &parts, LOOK)? != Sent::Yes {
            return Ok(());
        }
        feed.advance();
        self.rhythm.sent();
        self.totals.sent.fetch_add(1, Ordering::Relaxed);
        match self.await_answer()? {
            Some(parts) => self.compare(&head, &parts),
            None => {
                self.totals.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Waits for the answer: in vain, if that may be.
    fn await_answer(&mut self) -> io::Result<Option<Parts>> {
        let asked = Instant::now();
        loop {
            let answer = self.link.receive(LOOK)?;
            if answer.is_some() || self.setup.scene.loses_requests() && asked.elapsed() > PATIENCE {
                return Ok(answer);
            }
        }
    }

    fn compare(&mut self, asked: &Head, parts: &Parts) {
        self.totals.received.fetch_add(1, Ordering::Relaxed);
        self.totals.bytes.fetch_add(parts.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
        match Head::check(parts) {
            Ok(head) if head == *asked => {
                if head.mark != 0 {
                    self.tell_mark(head.mark, head.stream.lane());
                    self.mode = Mode::Still;
                }
            }
            Ok(head) => self.tell_fault(&format!("WRONG ANSWER {head:?} to {asked:?}")),
            Err(damage) => self.tell_fault(&format!("DAMAGED {damage:?}, as answer to {asked:?}")),
        }
    }

    /// Sends a question back.
    pub(super) fn answer(&mut self) -> io::Result<()> {
        if let Some(parts) = self.link.receive(LOOK)? {
            self.check(&parts);
            self.link.send_back(parts)?;
        }
        Ok(())
    }
}
