//! What a process that does not go on is doing, as far as this machine lets us see.

use std::fs;
use std::process::{Command, Stdio};

/// The threads of a process: their names, what they wait for in the kernel, and with gdb their stacks.
pub(super) fn report(process: u32) -> String {
    let mut report = format!("process {process}:\n");
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let state =
            read("status").lines().find(|line| line.starts_with("State:")).unwrap_or_default().to_owned();
        report += &format!(
            "  thread {} {}: {state}, waits in {}, call {}\n",
            task.file_name().display(),
            read("comm").trim(),
            read("wchan").trim(),
            read("syscall").trim(),
        );
        for line in read("stack").lines() {
            report += &format!("    {line}\n");
        }
    }
    // Their connections, with what lies in the kernel.
    let sockets = Command::new("ss").args(["-Htxap"]).stderr(Stdio::null()).output();
    let sockets =
        sockets.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    for line in sockets.lines().filter(|line| line.contains(&format!("pid={process},"))) {
        report += &format!("  {line}\n");
    }
    let debugger = Command::new("gdb")
        .args(["-p", &process.to_string(), "-batch", "-nx", "-ex", "thread apply all bt 30"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match debugger {
        Ok(output) => report += &String::from_utf8_lossy(&output.stdout),
        Err(error) => report += &format!("  no stacks of the program: gdb: {error}\n"),
    }
    report
}
