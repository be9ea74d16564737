//! The result as Markdown for a pull request or a step summary, the verdict first. It stays below
//! 60 KB, which every platform accepts.

use super::format::Format;
use super::text;
use crate::gate::Gate;
use crate::verdict::{Judged, Verdict};

/// Largest number of bytes that are written. GitHub accepts 65,536 characters in a comment.
const MAX_BYTES: usize = 60_000;

/// Largest number of bytes of the first sentence, so that the rest is left for the tables.
const MAX_SENTENCE_BYTES: usize = 2_000;

/// The result as Markdown.
pub(super) const FORMAT: Format = Format { file: "summary.md", write: |gate| Ok(write(gate)) };

/// Last line of a table that was cut.
const CUT: &str =
    "\n… cut here, to stay below what a comment may have; `gate.json` has the rest.\n";

fn write(gate: &Gate) -> String {
    let mut markdown =
        format!("**{}**\n\n{}\n", escape(&shortened(text::sentence(gate))), text::LEGEND);
    let mut workloads = gate.judgement.workloads();
    // Regressions come first, so that they remain if the text is cut.
    let regressed = |judged: &Judged| judged.verdict == Verdict::Regressed;
    workloads.sort_by_key(|workload| !gate.judgement.judged_of(workload).any(regressed));
    markdown.extend(workloads.into_iter().map(|workload| section(gate, workload)));
    cut(markdown)
}

fn section(gate: &Gate, workload: &str) -> String {
    let mut markdown = format!(
        "\n### {}\n\n| metric | candidate / base | 95 % interval | margin | verdict | smallest change seen |\n\
         |---|--:|:-:|--:|---|--:|\n",
        escape(workload)
    );
    markdown.extend(gate.judgement.judged_of(workload).map(row));
    for one in gate.judgement.unjudged.iter().filter(|one| one.workload == workload) {
        let key = escape(&one.key);
        let reason = escape(&one.reason);
        markdown += &format!("| {key} | – | – | – | not judged: {reason} | – |\n");
    }
    markdown
}

fn row(judged: &Judged) -> String {
    let ratio = judged.ratio();
    let effect = ratio.map_or_else(|| text::effect(judged), |ratio| format!("{:.4}", ratio.ratio));
    let interval = ratio.and_then(|ratio| ratio.interval);
    let interval = interval.map_or("–".to_owned(), |(low, high)| format!("{low:.4} – {high:.4}"));
    let share = |effect: f64| format!("{:.1} %", judged.share(effect) * 100.0);
    format!(
        "| {} | {effect} | {interval} | {} | {} | {} |\n",
        escape(judged.series.quantity.key()),
        share(judged.series.margin),
        judged.verdict,
        judged.smallest_detectable.map_or("–".to_owned(), share),
    )
}

/// Cuts off the end of the sentence if it names too many metrics.
fn shortened(mut sentence: String) -> String {
    if sentence.len() > MAX_SENTENCE_BYTES {
        sentence.truncate(sentence.floor_char_boundary(MAX_SENTENCE_BYTES));
        sentence += " …";
    }
    sentence
}

/// Escapes text, so that it is shown as it is in a line of its own and in a cell of a table.
fn escape(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => format!("\\{character}"),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        control if control.is_control() => " ".to_owned(),
        other => other.to_string(),
    });
    escaped.collect()
}

/// Cuts text that is too long at the end of a line, and adds a note about it.
fn cut(mut markdown: String) -> String {
    if markdown.len() > MAX_BYTES {
        let end = markdown.floor_char_boundary(MAX_BYTES - CUT.len());
        let line = markdown[..end].rfind('\n').map_or(end, |end| end + 1);
        markdown.truncate(line);
        markdown += CUT;
    }
    markdown
}
