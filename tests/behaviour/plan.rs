//! The plan of the suite: every pair of a model and a behaviour, in the order in which they run,
//! and for some pairs the other model that is tested instead.

use crate::model::Model;
use crate::topics::{AskedOf, Behaviour, PARTS};

/// A model and a behaviour that it must show.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub model: Model,
    pub behaviour: Behaviour,
    /// Model of the same family that is tested instead, unless all pairs are requested.
    pub left_to: Option<&'static str>,
}

/// Returns all pairs, part by part.
pub fn pairs(models: &[Model]) -> Vec<Pair> {
    PARTS.iter().flat_map(|topics| pairs_of_part(models, &topics.concat())).collect()
}

/// Returns all pairs of one part, in turns. A turn has every model once, each with another
/// behaviour, so that tests that wait run beside tests that compute, and few tests run beside a
/// server that spins.
fn pairs_of_part(models: &[Model], behaviours: &[Behaviour]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for turn in 0..behaviours.len() {
        for (place, &model) in models.iter().enumerate() {
            let first = place * behaviours.len() / models.len();
            let number = (first + turn) % behaviours.len();
            let behaviour = behaviours[number];
            let left_to = match behaviour.asked_of {
                AskedOf::OneOfEachFamily => left_to(models, model, number),
                AskedOf::EveryModel | AskedOf::EveryModelOfSeveral => None,
            };
            pairs.push(Pair { model, behaviour, left_to });
        }
    }
    pairs
}

/// Returns the model that is tested with behaviour `number` for the family of `model`, if it is
/// another one. The models of a family take turns, so that each of them is tested with some
/// behaviours.
fn left_to(models: &[Model], model: Model, number: usize) -> Option<&'static str> {
    let is_of_family =
        |other: &&Model| other.unavailable.is_none() && other.wire_family() == model.wire_family();
    let family: Vec<&Model> = models.iter().filter(is_of_family).collect();
    let shows = family.get(number % family.len().max(1))?;
    (shows.name != model.name).then_some(shows.name)
}
