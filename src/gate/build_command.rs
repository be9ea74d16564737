//! The command that builds a revision, run in its checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::git::forget_repository;
use crate::child;
use crate::interrupt::Interrupt;

/// Words by which a shell joins commands and redirects.
const OF_A_SHELL: [&str; 6] = ["&&", "||", ";", "|", ">", "<"];

/// A command of the user that builds.
#[derive(Debug)]
pub struct BuildCommand<'a> {
    line: &'a str,
    words: Vec<String>,
}

impl<'a> BuildCommand<'a> {
    /// Splits a command line into words, as a shell does.
    pub fn parse(line: &'a str) -> Result<Self> {
        let words = shlex::split(line).filter(|words| !words.is_empty());
        let words =
            words.with_context(|| format!("--build `{line}` is empty, or a quote has no end"))?;
        // Without a shell these would be arguments, and the rest of the line would not run.
        ensure!(
            !words.iter().any(|word| OF_A_SHELL.contains(&word.as_str())),
            "--build `{line}` needs a shell; write --build \"sh -c '{line}'\""
        );
        Ok(Self { line, words })
    }

    /// Returns the command as it was given.
    pub fn line(&self) -> &str {
        self.line
    }

    /// Runs the command in `folder`. All that it prints goes to standard error: standard output is
    /// for the result of the gate.
    ///
    /// # Errors
    /// When it fails or is interrupted.
    pub fn run(&self, folder: &Path, interrupt: &Interrupt) -> Result<()> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        let (name, target) = target_folder(folder);
        forget_repository(command.env(name, target));
        let status = child::run(&mut command, interrupt);
        let status = status.with_context(|| format!("`{}`", self.line))?;
        ensure!(status.success(), "`{}` failed ({status})", self.line);
        Ok(())
    }
}

/// Returns the variable by which cargo builds into the folder of a checkout, and its value. Without
/// it, a target folder that the user has set for all projects would put both sides into the same
/// files.
pub fn target_folder(checkout: &Path) -> (&'static str, PathBuf) {
    ("CARGO_TARGET_DIR", checkout.join("target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_a_shell_is_refused_and_quotes_hold_words_together() {
        let error = BuildCommand::parse("npm ci && npm run build").unwrap_err().to_string();
        assert!(error.contains("sh -c 'npm ci && npm run build'"), "{error}");
        let command = BuildCommand::parse("sh -c 'npm ci && npm run build'").unwrap();
        assert_eq!(command.words, ["sh", "-c", "npm ci && npm run build"]);
        assert!(BuildCommand::parse("make 'x").is_err() && BuildCommand::parse(" ").is_err());
    }
}
