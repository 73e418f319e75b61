//! What is printed, and kept.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use super::director::lock;

/// All that happens goes into a file; what must be seen is printed as well.
pub(super) struct Journal {
    file: Mutex<File>,
    verbose: bool,
}

impl Journal {
    pub(super) fn create(path: &Path, verbose: bool) -> io::Result<Self> {
        Ok(Journal { file: Mutex::new(File::create(path)?), verbose })
    }

    /// Keeps a line.
    pub(super) fn note(&self, line: &str) {
        if self.verbose {
            return self.say(line);
        }
        let _ = writeln!(lock(&self.file), "{line}");
    }

    /// Keeps a line and prints it.
    pub(super) fn say(&self, line: &str) {
        let _ = writeln!(lock(&self.file), "{line}");
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}
