//! The arguments of `cargo bench -- ARGS`, which gives the same ones to every bench: criterion's are sorted out here.

/// Options of criterion that are followed by a value, which is no filter.
const CRITERION_OPTIONS: &[&str] = &[
    "--baseline",
    "--baseline-lenient",
    "--color",
    "--confidence-level",
    "--format",
    "--load-baseline",
    "--measurement-time",
    "--noise-threshold",
    "--nresamples",
    "--output-format",
    "--plotting-backend",
    "--sample-size",
    "--save-baseline",
    "--significance-level",
    "--warm-up-time",
];

/// Options of criterion that stand alone.
const CRITERION_FLAGS: &[&str] = &[
    "--discard-baseline",
    "--exact",
    "--ignored",
    "--nocapture",
    "--noplot",
    "--quiet",
    "--show-output",
    "--verbose",
    "-n",
    "-v",
];

/// The arguments of this process that are not criterion's; `None` where nothing is to be measured, in criterion's profiling
/// mode and under `cargo test`, which does not say `--bench`.
pub fn own() -> Option<Vec<String>> {
    let (mut own, mut is_bench) = (Vec::new(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let (name, has_value) = arg.split_once('=').map_or((&*arg, false), |(name, _)| (name, true));
        match name {
            "--test" | "--profile-time" => return None,
            "--bench" => is_bench = true,
            flag if CRITERION_FLAGS.contains(&flag) => {}
            option if CRITERION_OPTIONS.contains(&option) => _ = (!has_value).then(|| args.next()),
            _ => own.push(arg),
        }
    }
    is_bench.then_some(own)
}
