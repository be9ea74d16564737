//! The JSON Schema of suites, for editors: the keys and values that a file may have. Each axis
//! defines the schema of its own values.
//!
//! The code that reads suites has the last word: it knows more, such as which values go together.

use c10k_reports::metric;
use serde_json::{Map, Value, json};

use super::axis;
use crate::pass;
use crate::subject::catalogue;

/// Returns the schema of a suite's file.
pub fn schema() -> Value {
    let models: Vec<&str> = c10k_servers::ROSTER.iter().map(|entry| entry.name).collect();
    let models =
        json!({ "anyOf": [{ "const": "all" }, { "type": "array", "items": { "enum": models } }] });
    let time = json!({ "type": "string", "pattern": "^[0-9]", "examples": ["600ms", "2s"] });
    let rounds = json!({ "type": "integer", "minimum": 1 });
    let pace = json!({ "rounds": rounds, "warmup": time, "duration": time });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A suite of c10k",
        "type": "object",
        "required": ["name", "purpose", "rounds", "warmup", "duration", "timeout", "workload"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
            "purpose": { "type": "string", "description": "In a sentence." },
            "rounds": rounds,
            "warmup": time,
            "duration": time,
            "timeout": time,
            "quick": object("What `--quick` changes.", &pace, &["rounds", "warmup", "duration"]),
            "claim": claim(),
            "generator": generator(),
            "models": models,
            "all_models": models,
            "subject": { "type": "array", "items": subject() },
            "workload": { "type": "array", "minItems": 1, "items": workload() },
        },
    })
}

fn generator() -> Value {
    let properties = json!({
        "locust": { "type": "string", "description": "The command of Locust, on this machine.", "examples": ["locust"] },
        "workers": { "type": "integer", "minimum": 1 },
        "host": { "type": "string", "description": "This machine's IP address, as the workers reach it." },
    });
    object(
        "Generators on other machines: `c10k worker`, see loadgen/MANY_MACHINES.md.",
        &properties,
        &["locust", "workers", "host"],
    )
}

fn claim() -> Value {
    let metrics: Vec<&str> = metric::METRICS.iter().map(|metric| metric.key).collect();
    let cell = json!({ "type": "object", "required": ["subject"] });
    let predicate = json!({
        "metric": { "enum": metrics },
        "of": cell,
        "over": cell,
        "above": { "type": "number" },
        "below": { "type": "number" },
    });
    let predicate = object(
        "A number of a cell, or its ratio to another, and its bounds.",
        &predicate,
        &["metric", "of"],
    );
    let properties = json!({
        "says": { "type": "string" },
        "source": { "type": "string" },
        "predicate": { "type": "array", "minItems": 1, "items": predicate },
    });
    object(
        "A published statement that the suite tests.",
        &properties,
        &["says", "source", "predicate"],
    )
}

fn subject() -> Value {
    let models: Vec<&str> = c10k_servers::ROSTER.iter().map(|entry| entry.name).collect();
    let servers: Vec<&str> =
        catalogue::servers().iter().map(|server| server.name.as_str()).collect();
    let properties = json!({
        "name": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
        "model": { "enum": models, "description": "A model of `c10k models`." },
        "server": { "enum": servers, "description": "A server of benches/servers.toml." },
        "command": { "type": "string", "description": "A command that serves, with {port} where its port belongs." },
        "args": { "type": "array", "items": { "type": "string" }, "description": "Of `c10k serve MODEL`." },
        "workers": { "type": "integer", "minimum": 1 },
        "handler_threads": { "type": "integer", "minimum": 1 },
    });
    let mut subject = object("A server under test.", &properties, &[]);
    subject["oneOf"] =
        ["model", "server", "command"].iter().map(|key| json!({ "required": [key] })).collect();
    subject
}

fn workload() -> Value {
    let keys: Vec<&str> = axis::ALL.iter().map(|axis| axis.key).collect();
    let passes: Vec<&str> = pass::ALL.iter().map(|pass| pass.name).collect();
    let texts = |items: Value| json!({ "type": "array", "minItems": 1, "items": items });
    let mut properties = Map::from_iter([
        ("title".to_owned(), json!({ "type": "string", "description": "What the table asks." })),
        (
            "along".to_owned(),
            json!({ "enum": keys, "description": "The axis that charts draw along." }),
        ),
        ("subjects".to_owned(), texts(json!({ "type": "string" }))),
        (
            "slo".to_owned(),
            json!({ "type": "string", "examples": ["p99 < 5ms and errors < 0.1%"] }),
        ),
        ("passes".to_owned(), texts(json!({ "enum": passes }))),
    ]);
    for axis in axis::ALL {
        let value = (axis.schema)();
        let several = json!({ "type": "array", "minItems": 1, "items": value });
        properties.insert(
            axis.key.to_owned(),
            json!({ "description": axis.title, "anyOf": [value, several] }),
        );
    }
    object("Every combination of the values of its axes.", &Value::Object(properties), &[])
}

fn object(description: &str, properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "description": description,
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::{env, fs};

    use jsonschema::Validator;

    use super::super::file::File;
    use super::super::registry::{BUILT_IN, CLAIMS};
    use super::*;

    const COMMITTED: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/benches/suites/suite.schema.json");

    fn validator() -> Validator {
        jsonschema::draft202012::new(&schema()).unwrap()
    }

    /// Returns the errors that a validator finds in a suite.
    fn complaints(text: &str) -> Vec<String> {
        let suite: toml::Value = toml::from_str(text).unwrap();
        let suite = serde_json::to_value(suite).unwrap();
        validator()
            .iter_errors(&suite)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    #[test]
    fn every_suite_of_this_repository_is_valid() {
        for (name, text) in BUILT_IN.iter().chain(CLAIMS) {
            assert_eq!(complaints(text), [""; 0], "{name}");
        }
        let folders = ["benches/suites", "benches/claims", "ci", "ci/evidence"];
        for folder in folders.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                let text = fs::read_to_string(&path).unwrap_or_default();
                if path.extension().is_some_and(|extension| extension == "toml")
                    && text.contains("[[workload]]")
                {
                    assert_eq!(complaints(&text), [""; 0], "{}", path.display());
                }
            }
        }
    }

    #[test]
    fn what_the_reader_refuses_for_its_key_or_its_type_is_not_valid() {
        let (_, good) = BUILT_IN.iter().find(|(name, _)| *name == "idle").unwrap();
        for (from, to) in [
            ("rounds = 3", "rounds = 0"),
            ("idle = [", "idel = ["),
            ("connections = 16", "connections = \"many\""),
            ("\"busy-poll\"", "\"bussy-poll\""),
            ("name = \"idle\"", "name = \"i/dle\""),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(!complaints(&good.replacen(from, to, 1)).is_empty(), "{to}");
        }
    }

    /// The reader's error about an unknown key lists the keys that it expects.
    #[test]
    fn it_has_the_keys_that_the_reader_knows() {
        let error = toml::from_str::<File>("unknown = 1").unwrap_err();
        let (_, expected) = error.message().split_once("expected one of ").unwrap();
        let known: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
        let schema = schema();
        let told: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, known);
    }

    #[test]
    fn the_committed_schema_is_that_of_this_version() {
        let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(COMMITTED, &schema).unwrap();
        }
        assert!(
            fs::read_to_string(COMMITTED).unwrap_or_default() == schema,
            "{COMMITTED} is out of date: run `UPDATE_SCHEMA=1 cargo test -p c10k --lib schema`"
        );
    }
}
