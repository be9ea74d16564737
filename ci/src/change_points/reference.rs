//! Change points that the program of `MongoDB` finds in seeded series:
//! `signal-processing-algorithms` 2.1.6 of the Python Package Index (Apache-2.0),
//! `e_divisive(values, pvalue=0.005, permutations=999)` with `numpy.random.seed(7)`, and
//! `_calculate_t_stats` of the whole series at one cut.

/// A series, with the change points that are found in it.
pub(super) struct Reference {
    pub name: &'static str,
    pub values: &'static [f64],
    /// A cut of the whole series; `statistic` is the statistic of this cut.
    pub cut: usize,
    pub statistic: f64,
    pub points: &'static [usize],
}

/// Series with normal noise of 1 % around steps of 5 % and 3 %, around no step, and around a step
/// of 1.2 %; one with noise of 0.8 % around steps up and down, of which the program finds only the
/// largest; and one with a step that is five values old.
#[expect(clippy::approx_constant, reason = "a ratio of 1.0472 is no third of π")]
pub(super) const REFERENCES: &[Reference] = &[
    Reference {
        name: "one step",
        values: &[
            1.0035, 1.0082, 1.0033, 0.9870, 1.0091, 1.0045, 0.9946, 1.0058, 1.0036, 1.0029, 1.0003,
            1.0055, 0.9926, 0.9984, 0.9952, 1.0560, 1.0504, 1.0471, 1.0422, 1.0474, 1.0501, 1.0472,
            1.0629, 1.0601, 1.0229, 1.0311, 1.0483, 1.0458, 1.0521, 1.0522,
        ],
        cut: 15,
        statistic: 0.575_473_333,
        points: &[15],
    },
    Reference {
        name: "two steps",
        values: &[
            1.0019, 0.9948, 0.9959, 0.9756, 1.0180, 1.0114, 0.9967, 1.0077, 1.0028, 0.9945, 1.0098,
            0.9969, 1.0267, 1.0221, 1.0345, 1.0290, 1.0355, 1.0239, 1.0313, 1.0211, 1.0384, 1.0319,
            0.9833, 0.9841, 0.9699, 0.9878, 1.0006, 0.9636, 0.9627, 0.9650, 0.9884, 0.9813, 0.9908,
            0.9872, 0.9821, 0.9828,
        ],
        cut: 22,
        statistic: 0.315_118_615,
        points: &[12, 22],
    },
    Reference {
        name: "no step",
        values: &[
            1.0204, 0.9744, 1.0042, 0.9943, 0.9955, 0.9978, 0.9798, 0.9977, 0.9913, 1.0332, 1.0023,
            0.9965, 0.9972, 0.9933, 0.9894, 0.9961, 1.0048, 0.9976, 1.0096, 0.9980, 1.0002, 1.0155,
            1.0055, 0.9949, 0.9982, 1.0054, 1.0194, 0.9973, 0.9976, 1.0100,
        ],
        cut: 15,
        statistic: 0.025_840_000,
        points: &[],
    },
    Reference {
        name: "small step",
        values: &[
            0.9935, 0.9983, 1.0166, 1.0066, 0.9836, 0.9999, 0.9938, 1.0015, 0.9839, 1.0024, 1.0024,
            1.0158, 1.0032, 1.0051, 0.9851, 1.0225, 0.9808, 1.0110, 0.9967, 0.9912, 1.0054, 1.0053,
            1.0158, 1.0109, 1.0268, 0.9937, 1.0120, 1.0031, 1.0198, 0.9908, 1.0086, 1.0141, 0.9972,
            1.0219, 1.0138, 1.0221, 1.0216, 1.0022, 1.0040, 1.0100,
        ],
        cut: 22,
        statistic: 0.058_052_828,
        points: &[],
    },
    Reference {
        name: "three steps",
        values: &[
            0.9936, 0.9894, 0.9980, 1.0034, 1.0091, 1.0009, 0.9956, 0.9937, 1.0060, 1.0131, 1.0422,
            1.0301, 1.0323, 1.0528, 1.0416, 1.0261, 1.0393, 1.0307, 1.0350, 1.0361, 0.9943, 1.0044,
            0.9995, 0.9953, 1.0033, 1.0066, 0.9869, 0.9979, 0.9922, 0.9986, 1.0697, 1.0802, 1.0797,
            1.0776, 1.0716, 1.0768, 1.0713, 1.0692, 1.0818, 1.0711,
        ],
        cut: 30,
        statistic: 0.754_650_000,
        points: &[30],
    },
    Reference {
        name: "late",
        values: &[
            1.0105, 1.0178, 0.9745, 0.9986, 1.0101, 1.0135, 1.0065, 1.0150, 1.0029, 1.0055, 1.0018,
            0.9893, 0.9915, 1.0038, 0.9942, 1.0127, 1.0129, 1.0180, 0.9997, 1.0138, 0.9909, 0.9918,
            1.0008, 1.0028, 0.9840, 1.0427, 1.0636, 1.0514, 1.0721, 1.0639,
        ],
        cut: 25,
        statistic: 0.369_848_000,
        points: &[25],
    },
];
