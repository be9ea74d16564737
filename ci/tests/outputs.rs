//! Outputs of a gate for other programs: the formats follow their schemas, state ratios in the
//! right direction, and stay valid for every name of a workload.

#[path = "support/simulated.rs"]
mod simulated;

use std::sync::LazyLock;

use c10k_ci::gate::Gate;
use c10k_ci::output;
use c10k_ci::verdict::Verdict;
use serde_json::Value;
use simulated::Simulated;
use uppsala::XsdValidator;

/// Names with characters that have a special meaning in a format.
const HOSTILE: [&str; 7] = [
    "a|b|c",
    "`tick` ```",
    "<script>alert(1)</script> &amp;",
    "two\nlines\r\nand a tab\t.",
    "**bold** _it_ [link](x) # ~~no~~ \\",
    "\"quoted\" disabled=\"0\"",
    "\u{1b}[31mred\u{1}\u{b} é 𝄞 ]]>",
];

fn simulate(workloads: &[&str], cost: f64) -> Gate {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let time = "2026-11-30T12:00:00Z";
    Simulated { workloads, cost, revisions: Some(("before", "after")), time, seed: 1 }
        .write(folder.path());
    Gate::read(folder.path()).expect("what was written can be read")
}

/// Returns the text of the file with this name.
fn written(gate: &Gate, file: &str) -> String {
    let format = output::ALL.iter().find(|format| format.file == file).expect("it is a format");
    (format.write)(gate).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn json(gate: &Gate, file: &str) -> Value {
    serde_json::from_str(&written(gate, file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn schema(text: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(text).expect("it is JSON"))
        .expect("it is a schema")
}

fn bencher_schema() -> jsonschema::Validator {
    schema(include_str!("schemas/bencher-metric-format.json"))
}

fn github_schema() -> jsonschema::Validator {
    schema(include_str!("schemas/github-action-benchmark.json"))
}

#[track_caller]
fn assert_valid(schema: &jsonschema::Validator, value: &Value) {
    let mistakes: Vec<String> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert_eq!(mistakes, <[String; 0]>::default(), "{value:#}");
}

/// Returns the mistakes that Jenkins' schema finds.
fn junit_mistakes(xml: &str) -> Vec<String> {
    let schema = uppsala::parse(include_str!("schemas/junit-10.xsd")).expect("it is XML");
    let validator = XsdValidator::from_schema(&schema).expect("it is a schema");
    let document = uppsala::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    validator.validate(&document).iter().map(ToString::to_string).collect()
}

/// Gates of every verdict, and gates whose names have special characters of a format.
static GATES: LazyLock<Vec<Gate>> = LazyLock::new(|| {
    let slower = simulate(&["closed", "open"], 1.1);
    assert_eq!(slower.judgement.verdict, Verdict::Regressed);
    let mut undecided = simulate(&HOSTILE, 1.0);
    for judged in &mut undecided.judgement.judged {
        judged.verdict = Verdict::Undecided;
        judged.interval = None;
    }
    vec![slower, simulate(&["closed"], 1.0), simulate(&HOSTILE, 1.1), undecided]
});

#[test]
fn the_lists_follow_what_github_action_benchmark_reads() {
    for gate in GATES.iter() {
        for file in ["custom-bigger-is-better.json", "custom-smaller-is-better.json"] {
            let list = json(gate, file);
            assert_valid(&github_schema(), &list);
            let names: Vec<&Value> =
                list.as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
            // The action compares an entry with the earlier entry of the same name.
            assert!(
                (1..names.len()).all(|place| !names[..place].contains(&names[place])),
                "{names:?}"
            );
        }
    }
    let wrong = serde_json::json!([{ "name": "n", "unit": "u", "value": "1.0" }]);
    assert!(!github_schema().is_valid(&wrong) && !github_schema().is_valid(&serde_json::json!([])));
}

#[test]
fn bencher_metric_format_follows_its_schema() {
    for gate in GATES.iter() {
        let metrics = json(gate, "bencher.json");
        assert_valid(&bencher_schema(), &metrics);
        assert_eq!(metrics.as_object().unwrap().len(), gate.judgement.workloads().len());
    }
    let wrong = serde_json::json!({ "workload": { "metric": { "lower_value": 1.0 } } });
    assert!(!bencher_schema().is_valid(&wrong));
}

#[test]
fn junit_xml_follows_the_schema_of_jenkins() {
    for gate in GATES.iter() {
        let xml = written(gate, "junit.xml");
        assert_eq!(junit_mistakes(&xml), <[String; 0]>::default(), "{xml}");
    }
    let xml = written(&GATES[0], "junit.xml");
    for wrong in [
        xml.replace("<testsuite ", "<testsuite disabled=\"0\" "),
        xml.replace("<failure ", "<regression "),
        xml.replace("<testcase name=", "<testcase title="),
    ] {
        assert!(wrong != xml && !junit_mistakes(&wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn junit_xml_counts_regressions_as_failures() {
    let gate = simulate(&["closed"], 1.1);
    let xml = written(&gate, "junit.xml");
    let regressed =
        gate.judgement.judged.iter().filter(|judged| judged.verdict == Verdict::Regressed).count();
    assert!(regressed > 0);
    assert!(xml.contains(&format!("failures=\"{regressed}\"")), "{xml}");
    assert_eq!(xml.matches("<failure").count(), regressed, "{xml}");
    assert!(xml.contains("classname=\"closed\""), "{xml}");
}

#[test]
fn lists_have_ratios_in_the_direction_that_their_name_says() {
    let gate = simulate(&["closed"], 1.1);
    let ratio = |file: &str, name: &str| {
        let list = json(&gate, file);
        let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        assert_eq!(entry["unit"], "candidate/base");
        entry["value"].as_f64().unwrap()
    };
    let throughput = ratio("custom-bigger-is-better.json", "closed: throughput_rps");
    assert!((throughput - 1.0 / 1.1).abs() < 0.02, "{throughput}");
    let cpu = ratio("custom-smaller-is-better.json", "closed: server_cpu_us_per_request");
    assert!((cpu - 1.1).abs() < 0.02, "{cpu}");
    let metric = &json(&gate, "bencher.json")["closed"]["throughput_rps"];
    let (low, high) =
        (metric["lower_value"].as_f64().unwrap(), metric["upper_value"].as_f64().unwrap());
    assert!(low < throughput && throughput < high && high - low < 0.1, "{metric}");
}

#[test]
fn the_range_of_a_list_is_read_as_a_number() {
    // `extractRangeInfo` of github-action-benchmark reads the text after the sign as a number.
    for entry in
        json(&simulate(&["closed"], 1.0), "custom-smaller-is-better.json").as_array().unwrap()
    {
        let range = entry["range"].as_str().unwrap().strip_prefix("± ").unwrap();
        assert!(range.parse::<f64>().is_ok_and(|range| range > 0.0), "{range}");
    }
}

/// Returns the number of cells in a row of a table, as GitHub separates them.
fn cells(row: &str) -> usize {
    row.replace("\\\\", "").replace("\\|", "").matches('|').count() - 1
}

#[test]
fn names_of_workloads_break_no_table_and_no_line() {
    let gate = &GATES[2];
    let markdown = written(gate, "summary.md");
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    let of_workload = gate.judgement.judged_of(HOSTILE[0]).count();
    assert_eq!(rows.len(), HOSTILE.len() * (of_workload + 2), "{markdown}");
    assert!(rows.iter().all(|row| cells(row) == 6), "{markdown}");
    assert_eq!(markdown.lines().filter(|line| line.starts_with("### ")).count(), HOSTILE.len());
    assert!(!markdown.contains('<') && !markdown.replace("\\`", "").contains('`'), "{markdown}");
    assert!(
        markdown.chars().all(|character| character == '\n' || !character.is_control()),
        "{markdown:?}"
    );
}

#[test]
fn names_of_workloads_are_in_json_as_they_are() {
    let gate = &GATES[2];
    let metrics = json(gate, "bencher.json");
    assert!(HOSTILE.iter().all(|name| metrics.get(name).is_some()), "{metrics:#}");
    let whole = json(gate, "gate.json");
    let cells = whole["cells"].as_array().unwrap();
    assert!(
        HOSTILE.iter().all(|name| cells.iter().any(|cell| cell["workload"] == *name)),
        "{whole:#}"
    );
}

#[test]
fn a_summary_of_very_many_workloads_fits_into_a_comment_and_keeps_the_regressions() {
    let mut gate = simulate(&["closed"], 1.0);
    let regressed = simulate(&["zz"], 1.1).judgement.judged;
    let of_one = std::mem::take(&mut gate.judgement.judged);
    for number in 0..2000 {
        gate.judgement.judged.extend(of_one.iter().cloned().map(|mut judged| {
            judged.series.workload = format!("{} {number}", "é".repeat(50));
            judged
        }));
    }
    gate.judgement.judged.extend(regressed);
    gate.judgement.verdict = Verdict::Regressed;
    let markdown = written(&gate, "summary.md");
    assert!(markdown.len() < 60_000 && markdown.len() > 50_000, "{} bytes", markdown.len());
    assert!(markdown.contains("### zz\n"), "the regression was cut off");
    let last = markdown.lines().next_back().unwrap();
    assert!(last.contains("gate.json"), "{last}");
    // The sentence has a limit, too, where it names all regressions.
    for judged in &mut gate.judgement.judged {
        judged.verdict = Verdict::Regressed;
    }
    let markdown = written(&gate, "summary.md");
    assert!(
        markdown.len() < 60_000 && markdown.starts_with("**REGRESSED"),
        "{} bytes",
        markdown.len()
    );
    assert!(markdown.contains("### "), "the sentence left no place for a table");
}
