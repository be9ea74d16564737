//! The end of the command when something is wrong with its arguments: one line, status 2, and
//! nothing on standard output.

use std::process::Output;

/// Checks that the command has ended in this way, and returns the line.
#[track_caller]
pub fn line_of(output: Output) -> String {
    let line = String::from_utf8(output.stderr).expect("it speaks text");
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("c10k: ") && line.ends_with('\n'), "{line:?}");
    line
}
