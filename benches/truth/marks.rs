//! Rate of false marks: how often a page calls one of several equal subjects the best. Also shows
//! how large a difference must be to be found.
//!
//! A suite of eleven subjects that are one and the same model is measured with `c10k bench` itself,
//! and the marks on its page are counted. Its rounds are then drawn again with the subjects of each
//! round in random order, so that a rate rests on many columns. This is exact, because the subjects
//! are equal. Noise of known kinds shows what may happen on another machine.

#[path = "noise.rs"]
mod noise;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use c10k_reports::metric::{METRICS, Metric, by_key};
use c10k_reports::record::{Cell, Outcome, Run};
use c10k_reports::results::{CellResult, Results, leading};
use c10k_reports::statistics::apart::{FEWEST_ROUNDS, MARKED_AT_MOST};
use c10k_reports::statistics::lead::{Better, Contender, leaders};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use noise::{Column, NOISES};

/// Numbers of rounds that are tried.
const ROUNDS: [usize; 4] = [2, 3, 5, 8];

/// Subjects of the suite of equals.
const MOST_SUBJECTS: usize = 11;

/// Numbers of subjects that are tried. With three, the estimate of their noise rests on few values.
const SUBJECTS: [usize; 2] = [3, MOST_SUBJECTS];

/// Factors by which one subject is better than its equals, to see if the difference is found.
const FACTORS: [f64; 6] = [1.05, 1.1, 1.2, 1.35, 1.5, 2.0];

/// Metrics whose power and steadiness are reported.
const HEADLINES: [&str; 4] =
    ["throughput_rps", "response_p50_us", "response_p99_us", "server_cpu_us_per_request"];

/// A column of the run of equals, as it was measured.
struct Measured<'a> {
    workload: &'a str,
    metric: &'static Metric,
    logs: Column,
}

/// Measures, draws again and simulates, and returns the rates as tables.
///
/// # Errors
///
/// When the suite can't be measured, or too many columns have a mark.
pub fn run(quick: bool) -> Result<String> {
    let draws = if quick { 200 } else { 2_000 };
    let folder = tempfile::tempdir()?;
    let run = c10k_reports::load_run(&measure(quick, folder.path())?)?;
    let measured = columns(&run);
    let (rates, highest) = false_marks(&measured, draws)?;
    let power = power(&measured, draws / 4)?;
    let text =
        format!("{}\n{rates}\n{power}\n{}", marks_on_the_page(run.clone()), steadiness(&measured)?);
    ensure!(
        highest <= most_of(draws),
        "{text}\n{:.1} % of columns of equals have a mark",
        highest * 100.0
    );
    Ok(text)
}

/// Returns the random numbers for one row of a table. The seed is fixed, so a simulation gives the
/// same result each time, no matter what was measured.
fn seeded() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(10)
}

/// Measures the suite of equals, and returns the folder of the run. `c10k bench` reports a
/// measurement that failed by its exit status; it is a gap on the page as well.
fn measure(quick: bool, folder: &Path) -> Result<PathBuf> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/suites/equals.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.arg("bench").arg(suite).arg("--output").arg(folder);
    if quick {
        command.args(["--quick", "--filter", "lifetime=persistent", "--filter", "connections=64"]);
    }
    let output = command.stdin(Stdio::null()).output().context("`c10k bench` cannot be started")?;
    let told = || format!("`c10k bench` left no run: {}", String::from_utf8_lossy(&output.stderr));
    let mut runs = folder.join("runs").read_dir().with_context(told)?;
    Ok(runs.next().with_context(told)??.path())
}

/// Describes the columns of the page of `run` that have a mark.
fn marks_on_the_page(run: Run) -> String {
    let rounds = run.environment.rounds;
    let failed =
        run.records.iter().filter(|record| matches!(record.outcome, Outcome::Failed(_))).count();
    let results = Results::without_histograms(run);
    let mut columns = 0;
    let mut marked = Vec::new();
    for (index, workload) in results.environment.workloads.iter().enumerate() {
        let cells: Vec<&CellResult> = results.of_workload(index).collect();
        let is_shown = |metric: &&Metric| cells.iter().any(|cell| cell.value(metric).is_some());
        for metric in compared().filter(is_shown) {
            columns += 1;
            if leading(&cells, metric).contains(&true) {
                marked.push(format!("{} under {}", metric.title, workload.name));
            }
        }
    }
    let count = marked.len();
    let names = marked.join(", ");
    let lost =
        if failed > 0 { format!(" Measurements that failed: {failed}.") } else { String::new() };
    format!(
        "The page of eleven equals after {rounds} rounds: {count} of {columns} columns marked. {names}{lost}\n"
    )
}

/// Returns the columns of `run` that a page compares, as logarithms.
fn columns(run: &Run) -> Vec<Measured<'_>> {
    let workloads = run.environment.workloads.iter().map(|workload| workload.name.as_str());
    let pairs = workloads.flat_map(|workload| compared().map(move |metric| (workload, metric)));
    let column = |(workload, metric)| {
        Some(Measured { workload, metric, logs: logs(run, workload, metric)? })
    };
    pairs.filter_map(column).collect()
}

/// Returns the metrics whose columns may have a mark.
fn compared() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.marked && metric.better.is_some())
}

/// Returns the logarithms of `metric` in the rounds in which every subject has a value above zero.
/// These are the rounds that a page compares. `None` if there is no such round.
fn logs(run: &Run, workload: &str, metric: &Metric) -> Option<Column> {
    let log = |subject: &str, round: u32| {
        let cell = Cell { subject: subject.to_owned(), workload: workload.to_owned() };
        let mut records = run.records.iter();
        let record = records.find(|record| record.cell == cell && record.round == round)?;
        record.metrics.get(metric.key).map(|value| value.ln()).filter(|log| log.is_finite())
    };
    let names = || run.environment.subjects.iter().map(|subject| subject.name.as_str());
    let of_round = |round| names().map(|name| log(name, round)).collect::<Option<Vec<f64>>>();
    let rounds: Vec<Vec<f64>> = (1..=run.environment.rounds).filter_map(of_round).collect();
    let of_subject = |subject: usize| rounds.iter().map(|round| round[subject]).collect();
    (!rounds.is_empty()).then(|| (0..names().count()).map(of_subject).collect())
}

/// Returns the shares of columns of equals that have a mark, as a table, and the highest share.
fn false_marks(measured: &[Measured], draws: usize) -> Result<(String, f64)> {
    let mut text = format!(
        "Columns of equal subjects with a mark, of {draws} (at most {} %):\n",
        MARKED_AT_MOST * 100.0
    );
    write!(text, "\n| noise | subjects |")?;
    ROUNDS.iter().try_for_each(|rounds| write!(text, " {rounds} rounds |"))?;
    writeln!(text, "\n|---|--:|{}", "--:|".repeat(ROUNDS.len()))?;
    let mut highest = 0.0_f64;
    // With too few measured rounds, there is no rate.
    let mut row = |name: &str, subjects: usize, draw: &mut dyn FnMut(usize) -> Option<Column>| {
        write!(text, "| {name} | {subjects} |")?;
        for rounds in ROUNDS {
            let columns: Vec<Column> = (0..draws).filter_map(|_| draw(rounds)).collect();
            if columns.is_empty() {
                write!(text, " – |")?;
                continue;
            }
            let share =
                columns.iter().filter(|column| is_marked(column)).count() as f64 / draws as f64;
            highest = highest.max(share);
            write!(text, " {:.1} % |", share * 100.0)?;
        }
        writeln!(text)
    };
    let measured: Vec<&Measured> = measured.iter().collect();
    for subjects in SUBJECTS {
        let mut random = seeded();
        row("measured, drawn again", subjects, &mut |rounds| {
            drawn_again(&measured, subjects, rounds, &mut random)
        })?;
        for noise in NOISES {
            let mut random = seeded();
            row(noise.name, subjects, &mut |rounds| {
                Some((noise.draw)(subjects, rounds, &mut random))
            })?;
        }
    }
    Ok((text, highest))
}

/// Draws neighbouring rounds of one of `measured`, with the subjects of each round in random order.
/// `None` if no column has that number of rounds.
fn drawn_again(
    measured: &[&Measured],
    subjects: usize,
    rounds: usize,
    random: &mut ChaCha8Rng,
) -> Option<Column> {
    let long: Vec<&Column> = measured
        .iter()
        .map(|measured| &measured.logs)
        .filter(|logs| logs[0].len() >= rounds)
        .collect();
    let column = long.choose(random)?;
    let first = random.random_range(0..=column[0].len() - rounds);
    let mut drawn = vec![Vec::new(); subjects];
    for round in first..first + rounds {
        let mut logs: Vec<f64> = column.iter().map(|subject| subject[round]).collect();
        logs.shuffle(random);
        drawn.iter_mut().zip(logs).for_each(|(subject, log)| subject.push(log));
    }
    Some(drawn)
}

/// True if a page would mark a subject of `column`.
fn is_marked(column: &Column) -> bool {
    leading_in(column).contains(&true)
}

fn leading_in(column: &Column) -> Vec<bool> {
    let contender = |logs: &Vec<f64>| {
        let rounds = (1..).zip(logs.iter().map(|log| log.exp())).collect();
        Some(Contender { rounds, at_least: false })
    };
    leaders(&column.iter().map(contender).collect::<Vec<_>>(), Better::Higher)
}

/// Returns the shares of columns in which a subject that is better than its ten equals is the only
/// marked subject.
fn power(measured: &[Measured], draws: usize) -> Result<String> {
    let mut text =
        format!("One of eleven subjects is better and is alone in its mark, of {draws}:\n");
    write!(text, "\n| noise | rounds |")?;
    FACTORS.iter().try_for_each(|factor| write!(text, " × {factor} |"))?;
    writeln!(text, "\n|---|--:|{}", "--:|".repeat(FACTORS.len()))?;
    for noise in &NOISES[..2] {
        let mut random = seeded();
        let draw = &mut |rounds| Some((noise.draw)(MOST_SUBJECTS, rounds, &mut random));
        power_rows(&mut text, noise.name, draws, draw)?;
    }
    for key in HEADLINES {
        let columns: Vec<&Measured> =
            measured.iter().filter(|column| column.metric.key == key).collect();
        let title = by_key(key).context("the metric is known")?.title;
        let mut random = seeded();
        let draw = &mut |rounds| drawn_again(&columns, MOST_SUBJECTS, rounds, &mut random);
        power_rows(&mut text, &format!("{title}, measured"), draws, draw)?;
    }
    Ok(text)
}

/// Writes a row for each number of rounds, over columns from `draw`. There is no row if `draw` has
/// no column with that number of rounds.
fn power_rows(
    text: &mut String,
    name: &str,
    draws: usize,
    draw: &mut dyn FnMut(usize) -> Option<Column>,
) -> Result<()> {
    for rounds in ROUNDS.into_iter().filter(|rounds| *rounds >= FEWEST_ROUNDS) {
        if draw(rounds).is_none() {
            continue;
        }
        write!(text, "| {name} | {rounds} |")?;
        for factor in FACTORS {
            let columns = (0..draws).filter_map(|_| draw(rounds));
            let found = columns.filter(|column| is_found(column.clone(), factor)).count();
            write!(text, " {:.0} % |", 100.0 * found as f64 / draws as f64)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// True if the first subject of `column`, made better by `factor`, is the only marked subject.
fn is_found(mut column: Column, factor: f64) -> bool {
    column[0].iter_mut().for_each(|log| *log += factor.ln());
    let leading = leading_in(&column);
    leading[0] && leading[1..].iter().all(|leads| !leads)
}

/// Returns the spread of the values of equals, by metric and workload, as a table.
fn steadiness(measured: &[Measured]) -> Result<String> {
    let mut text = "Cells of equals, all rounds and subjects together:\n\n".to_owned();
    text += "| workload | metric | coefficient of variation | highest over lowest |\n|---|---|--:|--:|\n";
    for Measured { workload, metric, logs } in measured {
        if HEADLINES.contains(&metric.key) {
            let values: Vec<f64> = logs.iter().flatten().map(|log| log.exp()).collect();
            let variation = variation(&values);
            let ratio = highest_over_lowest(&values);
            writeln!(
                text,
                "| {workload} | {} | {:.0} % | {ratio:.2} |",
                metric.title,
                variation * 100.0
            )?;
        }
    }
    Ok(text)
}

/// Returns the standard deviation divided by the mean.
fn variation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / (count - 1.0)).sqrt() / mean
}

fn highest_over_lowest(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::MIN, f64::max);
    highest / values.iter().copied().fold(f64::MAX, f64::min)
}

/// Returns the highest share that a true rate of [`MARKED_AT_MOST`] shows in `draws`, except in one
/// case in 10,000: a row of the table must not fail by chance.
fn most_of(draws: usize) -> f64 {
    MARKED_AT_MOST + 3.7 * (MARKED_AT_MOST * (1.0 - MARKED_AT_MOST) / draws as f64).sqrt()
}
