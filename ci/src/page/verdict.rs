//! Section: the verdict, in a sentence that a reviewer can act on, before anything else.

use askama::Template;
use c10k_reports::format;

use super::change::{Change, share};
use super::context::Page;
use super::failures::difference;
use super::words::{self, capital, list, of, sign, title};
use crate::verdict::{FALSE_ALARMS, Judged, RULED_OUT, Verdict};

/// Reasons that are told one by one.
const MOST_REASONS: usize = 8;

#[derive(Template)]
#[template(path = "verdict.html")]
struct VerdictSection<'a> {
    class: &'a str,
    sign: &'a str,
    word: String,
    date: String,
    sentence: String,
    /// What the verdict rests on, each with its numbers.
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

/// What the verdict rests on: what regressed, or the deciding metrics that the noise hides. What
/// failed comes first, then what decides.
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
    let names = list(&titles(deciding(page).into_iter()));
    match page.gate.judgement.verdict {
        Verdict::Regressed => format!("The candidate became worse than its base: {names}."),
        Verdict::Undecided if names.is_empty() => "No metric that decides could be judged.".to_owned(),
        Verdict::Undecided => format!(
            "The noise of this machine hides whether {names} regressed. Give it a longer \
             budget, or a quieter machine."
        ),
        _ => {
            let judged = page.gate.judgement.judged.iter();
            let names = list(&titles(judged.filter(|one| one.series.decides)));
            format!("The candidate is not worse by {RULED_OUT} margins in what decides: {names}.")
        }
    }
}

/// What they are called, each once.
fn titles<'a>(judged: impl Iterator<Item = &'a Judged>) -> Vec<String> {
    let mut titles = Vec::new();
    for title in judged.map(|one| title(&one.series.quantity)) {
        if !titles.contains(&title) {
            titles.push(title);
        }
    }
    titles
}

/// The reasons, of which all but the first few are counted.
fn reasons(page: &Page) -> Vec<String> {
    let deciding = deciding(page);
    let more = deciding.len().saturating_sub(MOST_REASONS);
    let more = (more > 0).then(|| format!("{more} more, in the tables below"));
    let told = deciding.into_iter().take(MOST_REASONS).map(|one| reason(page, one));
    told.chain(more).chain(missing(page)).collect()
}

/// What leaves a gate undecided because some blocks lack it.
fn missing<'a>(page: &'a Page) -> impl Iterator<Item = String> + 'a {
    let is_undecided = page.gate.judgement.verdict == Verdict::Undecided;
    let missing = page.gate.judgement.unjudged.iter().filter(move |one| is_undecided && one.decides);
    missing.map(|one| {
        format!("{} under {}: not judged, {}", words::metric_title(&one.key), one.workload, one.reason)
    })
}

/// One metric with its numbers.
fn reason(page: &Page, judged: &Judged) -> String {
    let margin = share(judged.share(judged.series.margin));
    match Change::of(judged) {
        None => format!("{}: {}", of(judged), difference(judged)),
        Some(change) => {
            let copy = page.gate.judgement.null_of(judged).filter(|null| null.is_alarm());
            let copy = copy.map_or("", |_| "; the copy of the base alarms, too");
            format!("{}: {}, with a margin of {margin}{copy}", of(judged), change.text())
        }
    }
}

/// How much the verdict is worth, and what it leaves open.
fn note(page: &Page) -> String {
    let alarms = share(FALSE_ALARMS);
    let blocks = page.gate.blocks.len();
    let open = |one: &&Judged| one.verdict == Verdict::Undecided && !one.series.decides;
    let hidden: Vec<String> = page.gate.judgement.judged.iter().filter(open).map(of).collect();
    let hidden = if hidden.is_empty() {
        String::new()
    } else {
        format!(" Hidden by noise, and not needed for the verdict: {}.", list(&hidden))
    };
    match page.gate.judgement.verdict {
        Verdict::Regressed => format!(
            "A gate of two identical servers says so in {alarms} of cases at most. This one has \
             {blocks} blocks."
        ),
        Verdict::Undecided => format!("It has {blocks} blocks. Undecided is neither good nor bad news."),
        _ => format!("It has {blocks} blocks.{hidden}"),
    }
}

/// Class of the style of a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "regressed",
        Verdict::Undecided => "undecided",
        _ => "cleared",
    }
}
