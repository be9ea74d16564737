//! The result as Markdown for a pull request or a step summary, the verdict first. It stays below
//! 60 KB, the least that a platform takes.

use super::{Format, text};
use crate::gate::Gate;
use crate::series::Quantity;
use crate::verdict::Judged;

/// Most bytes that are written; GitHub takes 65,536 characters in a comment.
const MAX_BYTES: usize = 60_000;

/// The result as Markdown.
pub(super) const FORMAT: Format = Format { file: "summary.md", write: |gate| Ok(write(gate)) };

fn write(gate: &Gate) -> String {
    let mut markdown = format!("**{}**\n\n{}\n", text::sentence(gate), text::LEGEND);
    for workload in gate.judgement.workloads() {
        markdown += &format!(
            "\n### {workload}\n\n| metric | candidate / base | 95 % interval | margin | verdict | smallest change seen |\n\
             |---|--:|:-:|--:|---|--:|\n"
        );
        markdown.extend(gate.judgement.judged_of(workload).map(row));
        for one in gate.judgement.unjudged.iter().filter(|one| one.workload == workload) {
            markdown += &format!("| `{}` | – | – | – | not judged: {} | – |\n", one.key, one.reason);
        }
    }
    cut(markdown)
}

fn row(judged: &Judged) -> String {
    let ratio = judged.ratio();
    let effect = ratio.map_or_else(|| text::effect(judged), |ratio| format!("{:.4}", ratio.ratio));
    let interval = ratio.and_then(|ratio| ratio.interval);
    let interval = interval.map_or("–".to_owned(), |(low, high)| format!("{low:.4} – {high:.4}"));
    let is_metric = matches!(judged.series.quantity, Quantity::Metric { .. });
    let share = |effect: f64| format!("{:.1} %", if is_metric { effect.exp_m1() } else { effect } * 100.0);
    format!(
        "| `{}` | {effect} | {interval} | {} | {} | {} |\n",
        judged.series.quantity.key(),
        share(judged.series.margin),
        judged.verdict,
        judged.smallest_detectable.map_or("–".to_owned(), share),
    )
}

/// Cuts at the end of a line.
fn cut(mut markdown: String) -> String {
    if markdown.len() > MAX_BYTES {
        let end = (0..=MAX_BYTES).rev().find(|&end| markdown.is_char_boundary(end)).unwrap_or(0);
        let line = markdown[..end].rfind('\n').map_or(0, |end| end + 1);
        markdown.truncate(line);
    }
    markdown
}
