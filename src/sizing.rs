//! Number of processors, or of machines, that a server needs for a rate: the results of a run,
//! scaled up by the Universal Scalability Law.
//!
//! ```text
//! X(N) = λN / (1 + σ(N − 1) + κN(N − 1))
//! ```
//!
//! N is the number of processors, X the capacity, λ the capacity of one processor, σ the share of
//! the work that only one processor can do at a time, and κ the cost of processors to each other
//! (Gunther, "Guerrilla Capacity Planning", 2007, chapter 4). The fit is by least squares (MPFIT,
//! Markwardt 2009, in the crate `rmpfit`). Intervals are bootstrapped over the rounds of the run
//! (Efron 1979). Machines share nothing, so their number is the rate divided by the capacity of
//! one.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rmpfit::{MPFitter, MPPar, MPResult};

/// Factor by which a result may exceed the largest number of processors that was measured.
const FARTHEST: u32 = 4;

/// Fewest different numbers of processors, and fewest measurements, that a curve needs. It has
/// three parameters.
const FEWEST_POINTS: usize = 3;
const FEWEST_MEASUREMENTS: usize = 6;

/// Number of bootstrapped fits.
const RESAMPLES: usize = 1000;

/// Share of the bootstrapped fits that lie below the low end, and above the high end, of an
/// interval.
const TAIL: f64 = 0.025;

/// Capacities of a server, in requests per second: number of processors → capacities of all rounds.
pub type Capacities = BTreeMap<u32, Vec<f64>>;

/// A number of processors or machines, with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Need {
    pub low: u32,
    pub likely: u32,
    /// `None` if the measurements do not show that any number is enough.
    pub high: Option<u32>,
}

/// The curve through the capacities of a server.
#[derive(Debug, Clone)]
pub struct Scaling {
    model: Model,
    /// Curves through the capacities of resampled rounds.
    resampled: Vec<Model>,
    /// Largest number of processors that was measured.
    measured: u32,
}

impl Scaling {
    /// Fits the curve.
    ///
    /// # Errors
    /// When there are too few numbers of processors or rounds, or no curve fits. The error is in
    /// words.
    pub fn fit(capacities: &Capacities, seed: u64) -> Result<Self, String> {
        let count: usize = capacities.values().map(Vec::len).sum();
        if capacities.len() < FEWEST_POINTS || count < FEWEST_MEASUREMENTS {
            let numbers: Vec<String> = capacities.keys().map(ToString::to_string).collect();
            return Err(format!(
                "a curve needs {FEWEST_POINTS} numbers of processors and {FEWEST_MEASUREMENTS} measurements, and there are \
                 {count} of {} processors: measure more with `c10k bench scaling`, on a machine that has them",
                numbers.join(", ")
            ));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let model =
            Model::nearest(capacities).ok_or("no curve fits the capacities that were measured")?;
        let resampled = (0..RESAMPLES).filter_map(|_| {
            let draw = |(&processors, rounds): (&u32, &Vec<f64>)| {
                (
                    processors,
                    rounds.iter().filter_map(|_| rounds.choose(&mut random).copied()).collect(),
                )
            };
            Model::nearest(&capacities.iter().map(draw).collect())
        });
        let measured = capacities.keys().copied().max().unwrap_or(1);
        Ok(Self { resampled: resampled.collect(), model, measured })
    }

    /// Returns the capacity of `processors` processors.
    pub fn capacity(&self, processors: u32) -> f64 {
        self.model.capacity(f64::from(processors))
    }

    /// Returns the share of the work that is done one after the other, and the cost of processors
    /// to each other.
    pub fn coefficients(&self) -> (f64, f64) {
        (self.model.sigma, self.model.kappa)
    }

    /// Returns the distance of the capacities from the curve, as shares: number of processors →
    /// mean of its rounds divided by the curve, minus one.
    pub fn residuals(&self, capacities: &Capacities) -> BTreeMap<u32, f64> {
        let residual = |(&processors, rounds): (&u32, &Vec<f64>)| {
            let mean = rounds.iter().sum::<f64>() / rounds.len() as f64;
            (processors, mean / self.capacity(processors) - 1.0)
        };
        capacities.iter().map(residual).collect()
    }

    /// Returns the number of processors that a rate needs.
    ///
    /// # Errors
    /// When this is more than four times the number that was measured, or no number is enough. The
    /// error is in words.
    pub fn processors_for(&self, rate: f64) -> Result<Need, String> {
        let farthest = self.measured * FARTHEST;
        let fewest = |model: &Model| {
            (1..=farthest).find(|&processors| model.capacity(f64::from(processors)) >= rate)
        };
        let beyond = || {
            format!(
                "it needs more than {farthest} processors, {FARTHEST} times those that were measured, if any number is \
                 enough: measure it with more"
            )
        };
        let likely = fewest(&self.model).ok_or_else(beyond)?;
        let mut needs: Vec<u32> =
            self.resampled.iter().map(|model| fewest(model).unwrap_or(u32::MAX)).collect();
        needs.sort_unstable();
        let at = |share: f64| needs[((needs.len() - 1) as f64 * share).round() as usize];
        let (low, high) = (at(TAIL), at(1.0 - TAIL));
        Ok(Need {
            low: low.min(likely),
            likely,
            high: (high < u32::MAX).then_some(high.max(likely)),
        })
    }
}

/// Returns the number of machines that a rate needs. `capacities` holds the capacity of one machine
/// in each round.
pub fn machines_for(rate: f64, capacities: &[f64]) -> Option<Need> {
    let interval = c10k_reports::statistics::interval::Interval::of_ratios(capacities)?;
    let count = |capacity: f64| (rate / capacity).ceil().max(1.0) as u32;
    Some(Need {
        low: count(interval.high),
        likely: count(interval.mean),
        high: Some(count(interval.low)),
    })
}

/// The curve: λ, σ and κ.
#[derive(Debug, Clone, Copy)]
struct Model {
    lambda: f64,
    sigma: f64,
    kappa: f64,
}

impl Model {
    /// Fits the curve to the capacities; `None` if the fit fails. A coefficient that would be below
    /// zero is set to zero.
    fn nearest(capacities: &Capacities) -> Option<Self> {
        let all = capacities.iter().flat_map(|(&processors, rounds)| {
            rounds.iter().map(move |rps| (f64::from(processors), *rps))
        });
        let mut points = Points(all.collect());
        let each = points.0.iter().map(|(processors, rps)| rps / processors).fold(0.0, f64::max);
        // Capacities are in units of the best processor, so that all parameters are of similar
        // size.
        points.0.iter_mut().for_each(|(_, rps)| *rps /= each);
        let mut fixed = [false; 3];
        loop {
            // A fixed parameter stays at zero.
            let mut parameters =
                [1.0, if fixed[1] { 0.0 } else { 0.1 }, if fixed[2] { 0.0 } else { 0.01 }];
            let bounds = fixed.map(|fixed| MPPar { fixed, ..MPPar::default() });
            points.mpfit(&mut parameters, Some(&bounds), &rmpfit::MPConfig::default()).ok()?;
            match parameters.iter().rposition(|parameter| *parameter < 0.0) {
                Some(place @ 1..) => fixed[place] = true,
                Some(_) => return None,
                None => {
                    let [lambda, sigma, kappa] = parameters;
                    return Some(Self { lambda: lambda * each, sigma, kappa });
                }
            }
        }
    }

    fn capacity(&self, processors: f64) -> f64 {
        let Self { lambda, sigma, kappa } = self;
        let others = processors - 1.0;
        lambda * processors / (1.0 + sigma * others + kappa * processors * others)
    }
}

/// Processors and capacity of each measurement.
struct Points(Vec<(f64, f64)>);

impl MPFitter for Points {
    fn eval(&self, parameters: &[f64], deviates: &mut [f64]) -> MPResult<()> {
        let model = Model { lambda: parameters[0], sigma: parameters[1], kappa: parameters[2] };
        for (deviate, (processors, rps)) in deviates.iter_mut().zip(&self.0) {
            *deviate = rps - model.capacity(*processors);
        }
        Ok(())
    }

    fn number_of_points(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three rounds of a server whose curve is known, each a percent apart.
    fn capacities(processors: &[u32], sigma: f64, kappa: f64) -> Capacities {
        let truth = Model { sigma, kappa, lambda: 50_000.0 };
        let rounds = |&processors: &u32| {
            let rps = truth.capacity(f64::from(processors));
            (processors, vec![rps * 0.99, rps, rps * 1.01])
        };
        processors.iter().map(rounds).collect()
    }

    /// Throughput of a Cisco UCS server by its threads (Schwartz, "Practical Scalability Analysis
    /// with the Universal Scalability Law", 2015), with the coefficients that are published for it.
    #[test]
    fn the_curve_is_the_published_one() {
        let published = [
            (1, 955.16),
            (2, 1878.91),
            (3, 2688.01),
            (4, 3548.68),
            (5, 4315.54),
            (6, 5130.43),
            (7, 5931.37),
            (8, 6531.08),
            (9, 7219.8),
            (10, 7867.61),
            (11, 8278.71),
            (12, 8646.7),
            (13, 9047.84),
            (14, 9426.55),
            (15, 9645.37),
            (16, 9897.24),
            (17, 10097.6),
            (18, 10240.5),
            (19, 10532.39),
            (20, 10798.52),
            (21, 11151.43),
            (22, 11518.63),
            (23, 11806.0),
            (24, 12089.37),
            (25, 12075.41),
            (26, 12177.29),
            (27, 12211.41),
            (28, 12158.93),
            (29, 12155.27),
            (30, 12118.04),
            (31, 12140.4),
            (32, 12074.39),
        ];
        let capacities = published.map(|(threads, rps)| (threads, vec![rps])).into();
        let Model { lambda, sigma, kappa } = Model::nearest(&capacities).unwrap();
        for (found, published) in [(lambda, 995.6486), (sigma, 0.026_715_91), (kappa, 7.690_945e-4)]
        {
            assert!((found / published - 1.0).abs() < 1e-3, "{found} in place of {published}");
        }
    }

    #[test]
    fn a_point_that_was_held_out_lies_on_the_curve() {
        let held_out = 16;
        let all = capacities(&[1, 2, 4, 8, held_out], 0.05, 0.001);
        let mut known = all.clone();
        let truth = known.remove(&held_out).unwrap()[1];
        let scaling = Scaling::fit(&known, 1).unwrap();
        assert!(
            (scaling.capacity(held_out) / truth - 1.0).abs() < 0.05,
            "{}",
            scaling.capacity(held_out)
        );
        let need = scaling.processors_for(truth).unwrap();
        assert!(need.low <= held_out && need.high.is_none_or(|high| held_out <= high), "{need:?}");
        assert!(scaling.residuals(&known).values().all(|residual| residual.abs() < 0.02));
    }

    #[test]
    fn a_rate_too_far_beyond_the_measured_ones_is_refused() {
        let scaling = Scaling::fit(&capacities(&[1, 2, 4], 0.0, 0.0), 1).unwrap();
        assert_eq!(scaling.processors_for(149_000.0).unwrap().likely, 3);
        let error = scaling.processors_for(1e6).unwrap_err();
        assert!(error.contains("more than 16 processors"), "{error}");
    }

    #[test]
    fn a_curve_needs_several_numbers_of_processors() {
        let error = Scaling::fit(&capacities(&[1], 0.0, 0.0), 1).unwrap_err();
        assert!(error.contains("bench scaling") && error.contains("3 of 1 processors"), "{error}");
    }

    #[test]
    fn machines_are_the_rate_divided_by_the_capacity() {
        let need = machines_for(100_000.0, &[30_000.0, 31_000.0, 29_000.0]).unwrap();
        assert_eq!(need.likely, 4);
        assert!(need.low <= 4 && need.high.is_some_and(|high| high >= 4));
    }
}
