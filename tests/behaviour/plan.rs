//! The plan of the suite: every pair of a model and a behaviour, in the order in which they run.

use crate::model::Model;
use crate::subjects::{Behaviour, PARTS};

/// A model and a behaviour that it must show.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub model: Model,
    pub behaviour: Behaviour,
}

/// All pairs, part by part.
pub fn pairs(models: &[Model]) -> Vec<Pair> {
    PARTS.iter().flat_map(|subjects| pairs_of_part(models, &subjects.concat())).collect()
}

/// The pairs of one part, in turns. A turn has every model once, each with another behaviour: tests
/// that wait run beside tests that compute, and few run beside a server that spins.
fn pairs_of_part(models: &[Model], behaviours: &[Behaviour]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for turn in 0..behaviours.len() {
        for (place, &model) in models.iter().enumerate() {
            let first = place * behaviours.len() / models.len();
            let behaviour = behaviours[(first + turn) % behaviours.len()];
            pairs.push(Pair { model, behaviour });
        }
    }
    pairs
}
