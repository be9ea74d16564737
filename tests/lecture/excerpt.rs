//! Comparison of an output with the excerpt of it that the document shows.
//!
//! The lines of an excerpt are in the output, in their order, and there may be others around them.
//! So that an excerpt can be a real one, these differences don't count:
//! - `…` stands for any part of a line.
//! - A time, such as `31.4 µs` or a decimal number by itself, is like any other time, and a rate of
//!   requests like any other rate.
//! - Spaces, line ends between words, parentheses and `≥`: columns are as wide as their texts, words
//!   are wrapped, `c10k wire` puts a state into parentheses if it was too short to be read, and a
//!   number that is only a bound is like any other.

use std::sync::LazyLock;

use regex::Regex;

/// Replacement for every time and rate.
const TIME: &str = "TIME";

static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b\d[\d,]*(?:\.\d+)? (?:ns|µs|ms|s|requests/s)\b").expect("it is valid")
});

/// Returns true if `output` has the lines of an excerpt.
pub fn is_in(excerpt: &[String], output: &str) -> bool {
    let lines = excerpt.iter().map(|line| normalize(line));
    let lines: Vec<String> =
        lines.filter(|line| !["", "…"].contains(&&**line)).map(|line| pattern(&line)).collect();
    if lines.is_empty() {
        return true;
    }
    let pattern = format!(r"(?:^|\s){}(?:\s|$)", lines.join(r"\s(?:(?s:.*)\s)?"));
    Regex::new(&pattern).expect("texts are escaped").is_match(&normalize(output))
}

/// Returns the expression for a line.
fn pattern(line: &str) -> String {
    regex::escape(line).replace('…', r"[^\n]*").replace(' ', r"\s")
}

/// Returns a text without the differences that don't count.
fn normalize(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace(['(', ')', '≥'], "");
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = TIMES.replace_all(&line, TIME);
        let words = line.split(' ').map(|word| if is_decimal(word) { TIME } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// True if a word is a number with a fraction, and no address.
fn is_decimal(word: &str) -> bool {
    word.split_once('.').is_some_and(|(whole, fraction)| {
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number(whole) && is_number(fraction)
    })
}

/// Shows what is an excerpt of an output, and what is none.
pub fn check_the_comparison() {
    let has = |excerpt: &str, output: &str| {
        let lines: Vec<String> = excerpt.lines().map(str::to_owned).collect();
        is_in(&lines, output)
    };
    let ladder = "  ms  client\n  0.000  connect = 0  (SYN-SENT)  S seq 0\n 12.300 (CLOSED) F.\n";
    assert!(has("0.001 connect = 0 SYN-SENT S seq 0\n1.500 (CLOSED) F.", ladder));
    assert!(has("0.001 … SYN-SENT …\n…\n0.001 CLOSED …", ladder));
    assert!(!has("0.001 … CLOSED F.", ladder), "`…` is a part of a line");
    assert!(!has("1.500 CLOSED F.\n0.001 connect = 0 …", ladder), "the order counts");
    assert!(!has("connect = 1", ladder) && !has("SYN", ladder), "words are whole");
    let story = "They took 31.4\u{a0}µs. The kernels\n   exchange them, for 60 s, with ttl 63.";
    assert!(has("They took 1.02 ms. The\nkernels exchange them, for 60 s,", story));
    assert!(!has("ttl 64.", story) && has("ttl 63.", story), "other numbers count");
    assert!(!has("127.0.0.1:8080", "127.0.0.2:8080"), "an address is no time");
    assert!(!has("exit status 2", "exit status 28"));
}
