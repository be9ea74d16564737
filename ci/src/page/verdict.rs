//! Section: the verdict, in a sentence that a reviewer can act on, before anything else.

use askama::Template;
use c10k_reports::format;

use super::change::{Change, share};
use super::context::Page;
use super::failures::difference;
use super::words::{self, capital, list, of, sign, title};
use crate::reason::{self, Reason};
use crate::verdict::{FALSE_ALARMS, Judged, RULED_OUT, Verdict};

/// Largest number of reasons that are listed one by one.
const MOST_REASONS: usize = 8;

#[derive(Template)]
#[template(path = "verdict.html")]
struct VerdictSection<'a> {
    class: &'a str,
    sign: &'a str,
    word: String,
    date: String,
    sentence: String,
    /// Series that the verdict rests on, each with its numbers.
    reasons: Vec<String>,
    note: String,
    index: Option<&'a str>,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let verdict = page.gate.judgement.verdict;
    let section = VerdictSection {
        class: class(verdict),
        sign: sign(verdict),
        word: capital(&verdict.to_string()),
        date: format::date(&page.gate.plan.started_utc),
        sentence: sentence(page),
        reasons: reasons(page),
        note: note(page),
        index: page.index,
    };
    section.render()
}

/// Returns the series that the verdict rests on: those that regressed, or those that decide and are
/// open. Failures come first, then deciding metrics.
fn deciding<'a>(page: &Page<'a>) -> Vec<&'a Judged> {
    let verdict = page.gate.judgement.verdict;
    let is_reason = |one: &&Judged| match verdict {
        Verdict::Regressed => one.verdict == Verdict::Regressed,
        Verdict::Undecided => one.series.decides && one.is_open(),
        _ => false,
    };
    let mut reasons: Vec<&Judged> = page.gate.judgement.judged.iter().filter(is_reason).collect();
    let place = |one: &&Judged| words::place(one.series.quantity.key());
    reasons.sort_by_key(|one| (Change::of(one).is_some(), !one.series.decides, place(one)));
    reasons
}

fn sentence(page: &Page) -> String {
    let judgement = &page.gate.judgement;
    match judgement.verdict {
        Verdict::Regressed => {
            format!("The candidate became worse than its base: {}.", named(&deciding(page)))
        }
        Verdict::Undecided => {
            let reasons = reason::all(judgement).into_iter().map(|reason| because(page, &reason));
            reasons.collect::<Vec<_>>().join(" ")
        }
        _ => {
            let deciding: Vec<&Judged> =
                judgement.judged.iter().filter(|one| one.series.decides).collect();
            let names = named(&deciding);
            format!("The candidate is not worse by {RULED_OUT} margins in what decides: {names}.")
        }
    }
}

/// Describes a reason why the gate is undecided, and the next step.
fn because(page: &Page, reason: &Reason<'_>) -> String {
    match reason {
        Reason::Failures(of) => {
            format!("The candidate fails more often than its base: {}. Find out why.", named(of))
        }
        Reason::TooFewBlocks { metrics, needed } => format!(
            "It has too few blocks to see any change in {metrics} metrics. Give it a longer budget, for {needed} \
             blocks, or fewer workloads."
        ),
        Reason::CopyAlarms(of) => {
            format!(
                "The copy of the base raises an alarm about {}, too. Give it a quieter machine.",
                named(of)
            )
        }
        Reason::Noise(of) if page.gate.plan.counts => format!(
            "Starts of one and the same server differ in {}. Measure time instead, without --counts.",
            named(of)
        ),
        Reason::Noise(of) => format!(
            "The noise of this machine hides whether {} regressed. Give it a longer budget, or a quieter \
             machine.",
            named(of)
        ),
        Reason::Lacking(of) => {
            let titles = each_once(of.iter().map(|one| words::metric_title(&one.key)));
            format!("Some blocks have no value of {}, which the verdict needs.", list(&titles))
        }
        Reason::NothingDecides => {
            "No metric that decides was measured. Give another one `decides = true` in the margins."
                .to_owned()
        }
    }
}

/// Lists the titles of the series, each title once, in their order.
fn named(judged: &[&Judged]) -> String {
    list(&each_once(judged.iter().map(|one| title(&one.series.quantity))))
}

fn each_once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// Lists the first reasons, counts the others, and adds the metrics that were not judged.
fn reasons(page: &Page) -> Vec<String> {
    let deciding = deciding(page);
    let more = deciding.len().saturating_sub(MOST_REASONS);
    let more = (more > 0).then(|| format!("{more} more, in the tables below"));
    let told = deciding.into_iter().take(MOST_REASONS).map(|one| reason(page, one));
    told.chain(more).chain(missing(page)).collect()
}

/// Lists the metrics that leave the gate undecided because they were not judged.
fn missing<'a>(page: &'a Page) -> impl Iterator<Item = String> + 'a {
    let is_undecided = page.gate.judgement.verdict == Verdict::Undecided;
    let missing =
        page.gate.judgement.unjudged.iter().filter(move |one| is_undecided && one.decides);
    missing.map(|one| {
        format!(
            "{} under {}: not judged, {}",
            words::metric_title(&one.key),
            one.workload,
            one.reason
        )
    })
}

/// Describes one series with its numbers.
fn reason(page: &Page, judged: &Judged) -> String {
    let margin = share(judged.share(judged.series.margin));
    match Change::of(judged) {
        None => {
            let blocks = judged.failing_blocks().unwrap_or_default();
            format!("{}: {}, {blocks}", of(judged), difference(judged))
        }
        Some(change) => {
            let copy = page.gate.judgement.null_of(judged).filter(|null| null.is_alarm());
            let copy = copy.map_or("", |_| "; the copy of the base alarms, too");
            format!("{}: {}, with a margin of {margin}{copy}", of(judged), change.text())
        }
    }
}

/// Describes how much the verdict is worth, and what it leaves open.
fn note(page: &Page) -> String {
    let alarms = share(FALSE_ALARMS);
    let blocks = page.gate.blocks.len();
    match page.gate.judgement.verdict {
        Verdict::Regressed => format!(
            "A gate of two identical servers says so in {alarms} of cases at most. This one has \
             {blocks} blocks."
        ),
        Verdict::Undecided => {
            format!("It has {blocks} blocks. Undecided is neither good nor bad news.")
        }
        _ => format!("It has {blocks} blocks.{}", beside(page)),
    }
}

/// Names the series that are worse and those that are undecided, for a gate without a regression.
fn beside(page: &Page) -> String {
    let told = [
        ("Worse, but not shown to exceed its margin", Verdict::Changed),
        ("Not decided, and not needed for the verdict", Verdict::Undecided),
    ];
    let told = told.map(|(what, verdict)| (what, page.gate.judgement.with(verdict)));
    let told = told.iter().filter(|(_, judged)| !judged.is_empty());
    let names =
        |judged: &[&Judged]| list(&judged.iter().map(|one| with_blocks(one)).collect::<Vec<_>>());
    told.map(|(what, judged)| [" ", what, ": ", &names(judged), "."].concat()).collect()
}

/// Names a metric with its workload, or a failure with the blocks that have it.
fn with_blocks(judged: &Judged) -> String {
    let blocks = judged.failing_blocks().map(|blocks| format!(" {blocks}"));
    of(judged) + &blocks.unwrap_or_default()
}

/// Returns the style class of a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "regressed",
        Verdict::Undecided => "undecided",
        _ => "cleared",
    }
}
