//! Kinds of noise with known properties, for columns of equal subjects.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Normal, StudentT};

/// Logarithms of the values of a column: subject → round.
pub type Column = Vec<Vec<f64>>;

/// A kind of noise.
pub struct Noise {
    pub name: &'static str,
    /// Draws a column with this number of subjects and this number of rounds.
    pub draw: fn(usize, usize, &mut ChaCha8Rng) -> Column,
}

/// All kinds. Each except the first breaks an assumption of a test that is made for the normal
/// distribution.
pub const NOISES: &[Noise] = &[
    Noise {
        name: "lognormal, 5 %",
        draw: |subjects, rounds, random| draw(subjects, rounds, |_| normal(0.05, random)),
    },
    Noise {
        name: "heavy tails (Student's t, 3 degrees of freedom)",
        draw: |subjects, rounds, random| {
            let student = StudentT::new(3.0).expect("three degrees of freedom are valid");
            draw(subjects, rounds, |_| 0.03 * student.sample(random))
        },
    },
    Noise {
        name: "skewed (exponential)",
        draw: |subjects, rounds, random| {
            draw(subjects, rounds, |_| 0.05 * Distribution::<f64>::sample(&Exp1, random))
        },
    },
    Noise {
        name: "3 %, and one cell in 20 halved",
        draw: |subjects, rounds, random| {
            draw(subjects, rounds, |_| {
                let halved = random.random::<f64>() < 0.05;
                normal(0.03, random) - if halved { 2_f64.ln() } else { 0.0 }
            })
        },
    },
    Noise { name: "2 %, and a drift of 20 % within each round", draw: drifting },
    Noise {
        name: "1 %, and two subjects of 10 %",
        draw: |subjects, rounds, random| {
            draw(subjects, rounds, |subject| normal(if subject < 2 { 0.1 } else { 0.01 }, random))
        },
    },
];

/// Returns a column of the values that `one` draws for each subject.
fn draw(subjects: usize, rounds: usize, mut one: impl FnMut(usize) -> f64) -> Column {
    (0..subjects).map(|subject| (0..rounds).map(|_| one(subject)).collect()).collect()
}

/// Draws rounds in which the subjects have a random order, on a machine that becomes slower within
/// a round and differs from round to round.
fn drifting(subjects: usize, rounds: usize, random: &mut ChaCha8Rng) -> Column {
    let mut column = vec![Vec::new(); subjects];
    for _ in 0..rounds {
        let mut order: Vec<usize> = (0..subjects).collect();
        order.shuffle(random);
        let level = normal(0.3, random);
        for (place, subject) in order.into_iter().enumerate() {
            column[subject]
                .push(level + 0.2 * place as f64 / subjects as f64 + normal(0.02, random));
        }
    }
    column
}

fn normal(deviation: f64, random: &mut ChaCha8Rng) -> f64 {
    Normal::new(0.0, deviation).expect("a deviation is not negative").sample(random)
}
