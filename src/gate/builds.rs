//! Both revisions of a gate, built by the same command in folders with paths of the same length:
//! the length of a path shifts everything after it in memory (Mytkowicz et al., "Producing Wrong
//! Data Without Doing Anything Obviously Wrong!", 2009).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use c10k_ci::block::Arm;
use c10k_ci::plan::Server;

use super::build_command::{BuildCommand, target_folder};
use super::checkout::Checkout;
use super::revision::{Repository, Revision};
use super::sides::{Side, arm_name};
use crate::interrupt::Interrupt;
use crate::output::note;
use crate::subject::{Launch, Program, Subject};

/// Default command that builds a revision.
pub const BUILD: &str = "cargo build --release --locked";

/// Program that the default command builds.
const C10K: &str = "target/release/c10k";

/// Folders of both checkouts, with names of the same length.
const FOLDERS: [(Arm, &str); 2] = [(Arm::Base, "base"), (Arm::Candidate, "cand")];

/// A builder of servers from revisions.
#[derive(Debug)]
pub struct Builder<'a> {
    /// Command that builds.
    pub command: BuildCommand<'a>,
    /// The server, which runs in the folder of its build; a model is served by the c10k that was
    /// built.
    pub subject: Subject,
    /// Folder of the checkouts.
    pub folder: PathBuf,
}

/// A revision that was built. Dropping it removes the build.
#[derive(Debug)]
pub struct Build {
    pub side: Side,
    _checkout: Checkout,
}

impl Builder<'_> {
    /// Builds both revisions, the base first. `names` are the names of base and candidate.
    ///
    /// # Errors
    /// When a revision is missing, a build fails, or the user interrupts it.
    pub fn build(&self, names: [&str; 2], interrupt: &Interrupt) -> Result<[Build; 2]> {
        let repository = Repository::here(interrupt)?;
        // Both revisions are found before the first build, so that a mistake in either name is
        // reported at once. The working tree is read here, too: it may change while the base is
        // built.
        let [base, candidate] = names;
        let revisions = [repository.find(base)?, repository.find(candidate)?];
        let one = |place: usize| {
            let (arm, folder) = FOLDERS[place];
            let name = names[place];
            let revision = &revisions[place];
            note(&format!("building {} {name} ({revision})\n", arm_name(arm)));
            let checkout = Checkout::new(&repository, revision, &self.folder.join(folder));
            let built = checkout
                .and_then(|checkout| self.build_one(arm, name, revision, checkout, interrupt));
            built.with_context(|| format!("{} {name} ({revision})", arm_name(arm)))
        };
        Ok([one(0)?, one(1)?])
    }

    fn build_one(
        &self,
        arm: Arm,
        name: &str,
        revision: &Revision,
        checkout: Checkout,
        interrupt: &Interrupt,
    ) -> Result<Build> {
        let folder = checkout.folder();
        self.command.run(folder, interrupt)?;
        let program = folder.join(C10K);
        ensure!(
            program.is_file() || !matches!(self.subject.launch, Launch::Model { .. }),
            "`{}` made no {C10K}; give --serve COMMAND to say what serves there",
            self.command.line()
        );
        let subject = in_folder(&self.subject, folder);
        let described = Server {
            name: Some(name.to_owned()),
            revision: Some(revision.to_string()),
            command: subject.command_template(),
        };
        let side = Side { arm, subject, c10k: Arc::new(Program::at(&program)), described };
        Ok(Build { side, _checkout: checkout })
    }
}

/// Returns the server in the folder of its build. A command that runs cargo finds the build there.
fn in_folder(subject: &Subject, folder: &Path) -> Subject {
    let mut subject = subject.clone().in_folder(folder);
    if let Launch::Command(launch) = &mut subject.launch {
        let (name, target) = target_folder(folder);
        launch.environment.insert(name.to_owned(), target.to_string_lossy().into_owned());
    }
    subject
}
