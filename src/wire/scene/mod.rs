//! Scenes: exchanges that go another way than the ordinary one. One scene, one file, and one line
//! in [`ALL`]. Each is really done, with sockets, against a model.

mod backlog;
mod definition;
mod half_close;
mod reset;
mod syn;

use anyhow::{Context, Result};

pub use definition::Scene;

/// All scenes.
pub const ALL: &[Scene] = &[backlog::SCENE, reset::SCENE, half_close::SCENE, syn::SCENE];

/// Parses the name of a scene on the command line.
pub fn parse(name: &str) -> Result<&'static Scene> {
    ALL.iter().find(|scene| scene.name == name).with_context(|| {
        let names: Vec<_> = ALL.iter().map(|scene| scene.name).collect();
        format!("there is no such scene; the scenes are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_found_by_its_name_and_others_are_named_in_its_place() {
        for scene in ALL {
            assert_eq!(parse(scene.name).unwrap().about, scene.about);
        }
        let error = parse("flood").unwrap_err().to_string();
        assert!(error.contains("backlog, reset, half-close, syn"), "{error}");
    }
}
