//! Processes that the tests of probes look at.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A shell that runs a script. The script writes a line when it is ready to be looked at, and ends
/// at the end of its input.
pub(super) struct Shell {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// Starts the shell, and waits for its first line.
    pub(super) fn start(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut shell = Self { child, output };
        shell.await_line();
        shell
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line to the shell, and waits for a line from it.
    pub(super) fn ask(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.await_line();
    }

    fn await_line(&mut self) {
        assert!(self.output.read_line(&mut String::new()).unwrap() > 0, "the shell has ended");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
