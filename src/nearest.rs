//! Finds the known name that is nearest to a mistyped one, for error messages.

/// Similarity (Jaro and Winkler, 0 to 1) from which a name is worth suggesting; clap uses 0.7 as
/// well.
const SIMILAR: f64 = 0.7;

/// Returns `; did you mean …?`, or a list of all names if none is near.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let similarity = |name: &&str| strsim::jaro_winkler(wrong, name);
    let best = known.iter().copied().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match best.filter(|name| similarity(name) >= SIMILAR) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_otherwise_all_are_listed() {
        let known = || ["connections", "lifetime"].into_iter();
        assert_eq!(nearest("lifetme", known()), "; did you mean `lifetime`?");
        assert_eq!(nearest("x", known()), "; known: connections, lifetime");
    }
}
