//! What was measured, as a table for the terminal.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use c10k_reports::{Spread, describe_interval};

use crate::Pair;
use crate::sample::{CONNECTIONS, Sample, Setting};
use crate::subject::{Subject, names};

/// A sample, or why there is none.
pub type Outcome = Result<Sample, String>;

/// Of each subject, what became of it in each round.
pub type Outcomes = HashMap<&'static str, Vec<Outcome>>;

/// Both sides of a pair in the same round.
type Round = (Sample, Sample);

/// The conditions, the versions, and a line per pair.
pub fn render(
    pairs: &[Pair],
    subjects: &HashMap<&str, Subject>,
    outcomes: &Outcomes,
    setting: &Setting<'_>,
) -> String {
    let rounds = outcomes.values().map(Vec::len).max().unwrap_or_default();
    let mut text = format!(
        "\nServer CPU time per request in µs, 1 KiB over {CONNECTIONS} persistent connections, closed loop; {}.\n\
         Median ({}), {:?} each; a ratio below 1 is for the model.\n",
        setting.processors,
        describe_interval(rounds, rounds),
        setting.duration,
    );
    let versions: BTreeSet<_> = names(pairs).iter().filter_map(|name| subjects[name].version()).collect();
    let _ = writeln!(text, "{}\n", versions.into_iter().collect::<Vec<_>>().join(", "));
    let _ = writeln!(
        text,
        "{:<14} {:<15} {:<20} {:<20} {:<20} {:>13} {:>12}",
        "model", "peer", "model µs", "peer µs", "model / peer", "model req/s", "peer req/s"
    );
    for &(model, peer) in pairs {
        let of = |name| outcomes.get(name).map_or(&[][..], Vec::as_slice);
        let _ = writeln!(text, "{model:<14} {peer:<15} {}", row(of(model), of(peer)));
    }
    text
}

/// The figures of a pair, over the rounds in which both were measured; where one was not, also why.
fn row(model: &[Outcome], peer: &[Outcome]) -> String {
    let both = |(model, peer): (&Outcome, &Outcome)| Some((*model.as_ref().ok()?, *peer.as_ref().ok()?));
    let rounds: Vec<Round> = model.iter().zip(peer).filter_map(both).collect();
    let mut row = format!(
        "{:<20} {:<20} {:<20} {:>13} {:>12}",
        cell(&rounds, |(model, _)| model.cpu_us, |spread| with_range(spread, 2)),
        cell(&rounds, |(_, peer)| peer.cpu_us, |spread| with_range(spread, 2)),
        cell(&rounds, |(model, peer)| model.cpu_us / peer.cpu_us, |spread| with_range(spread, 3)),
        cell(&rounds, |(model, _)| model.throughput_rps, |spread| format!("{:.0}", spread.median)),
        cell(&rounds, |(_, peer)| peer.throughput_rps, |spread| format!("{:.0}", spread.median)),
    );
    if let Some(error) = model.iter().chain(peer).find_map(|outcome| outcome.as_ref().err()) {
        let _ = write!(row, " failed: {error}");
    }
    row
}

/// A figure over all rounds; nothing where there are none.
fn cell(rounds: &[Round], of: fn(&Round) -> f64, show: fn(Spread) -> String) -> String {
    Spread::of(&rounds.iter().map(of).collect::<Vec<_>>()).map_or_else(String::new, show)
}

fn with_range(Spread { median, low, high, .. }: Spread, digits: usize) -> String {
    format!("{median:.digits$} ({low:.digits$}-{high:.digits$})")
}
