//! The library under test: built, found, and asked what it can do.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use crate::sanitizer::Sanitizer;
use crate::workspace::{Recipe, build};

/// A library, in a folder that holds it under the name programs look for.
pub(super) struct Library {
    /// For headings and folder names: `zlink`, `libzmq` or `other`.
    pub(super) name: &'static str,
    /// The shared object itself.
    pub(super) file: PathBuf,
    /// The folder with `libzmq.so.5`.
    pub(super) folder: PathBuf,
    /// What a program that uses the library is linked with besides.
    pub(super) runtime: Vec<OsString>,
    sanitizer: Option<Sanitizer>,
}

impl Library {
    /// Takes the library the command line asks for, and builds it if it is ours.
    pub(super) fn chosen(options: &Options, output: &Path) -> Result<Self, String> {
        let (name, file) = if let Some(file) = &options.library {
            ("other", file.clone())
        } else if options.reference {
            ("libzmq", libzmq_reference::shared_object().to_owned())
        } else {
            let recipe =
                Recipe { release: options.release, drafts: !options.stable, sanitizer: options.sanitizer };
            ("zlink", build(recipe)?.shared)
        };
        let file = file.canonicalize().map_err(|error| format!("{}: {error}", file.display()))?;
        let folder = output.join("library").join(name);
        link(&file, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let runtime = options.sanitizer.map_or(Ok(Vec::new()), Sanitizer::runtime)?;
        Ok(Self { name, file, folder, runtime, sanitizer: options.sanitizer })
    }

    /// For the environment of `program`, which uses the library.
    pub(super) fn settings(&self, program: &str) -> Vec<(&'static str, OsString)> {
        self.sanitizer.map_or_else(Vec::new, |sanitizer| sanitizer.settings(program))
    }

    pub(super) fn is_ours(&self) -> bool {
        self.name == "zlink"
    }

    /// What `zmq_has` says of `capability`, asked by a small C program, so that nothing foreign is loaded here.
    pub(super) fn has(&self, capability: &str) -> Result<bool, String> {
        let source = self.folder.join("has.c");
        let program = self.folder.join("has");
        let text = "int zmq_has(const char *);\n\
            int main(int c, char **v) { return c == 2 && zmq_has(v[1]) ? 0 : 9; }\n";
        fs::write(&source, text).map_err(|error| format!("{}: {error}", source.display()))?;
        let mut compiler = Command::new(super::programs::c_compiler());
        compiler.arg(&source).arg("-o").arg(&program).args(&self.runtime);
        compiler.arg("-L").arg(&self.folder).arg("-l:libzmq.so.5");
        let status = compiler.status().map_err(|error| format!("cannot start the C compiler: {error}"))?;
        if !status.success() {
            return Err(format!("{} cannot be linked", self.file.display()));
        }
        let status = Command::new(&program).arg(capability).env("LD_LIBRARY_PATH", &self.folder).status();
        match status.map(|status| status.code()) {
            Ok(Some(0)) => Ok(true),
            Ok(Some(9)) => Ok(false),
            Ok(_) => Err(format!("{} cannot be asked what it can do", self.file.display())),
            Err(error) => Err(format!("{}: {error}", program.display())),
        }
    }
}

/// Makes `folder` hold `file` under the name programs look for.
fn link(file: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let link = folder.join("libzmq.so.5");
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(file, link)
}
