//! Formats numbers for a reader: three significant digits, thousands separators, the unit that
//! fits.

use jiff::Timestamp;

/// Placeholder of a missing number.
pub const MISSING: &str = "–";

/// Space between a number and its unit, so that no line breaks there.
const NO_BREAK_SPACE: char = '\u{a0}';

/// Formats a count with thousands separators: `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Formats a number with three significant digits: `0.0123`, `1.23`, `12.3`, `123`, `12,300`.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { MISSING.to_owned() };
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let magnitude = value.abs().log10().floor() as i32;
    let step = 10_f64.powi(magnitude - 2);
    let rounded = (value.abs() / step).round() * step;
    // Rounding may have added a digit before the point: 9.996 is 10.0, not 10.00.
    let decimals = 2 - rounded.log10().floor() as i32;
    if decimals > 0 {
        return format!("{sign}{rounded:.*}", decimals as usize);
    }
    format!("{sign}{}", count(rounded.round() as u64))
}

/// Formats a time in nanoseconds in the unit that fits: `840 ns`, `1.23 µs`, `12.3 ms`, `1.20 s`.
pub fn time_ns(ns: f64) -> String {
    // The next unit begins where three digits would round up to it: 999.9 µs is 1.00 ms, not
    // 1,000 µs.
    let (divisor, unit) = match ns {
        ns if ns < 999.5 => (1.0, "ns"),
        ns if ns < 999.5e3 => (1e3, "µs"),
        ns if ns < 999.5e6 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{}{NO_BREAK_SPACE}{unit}", significant(ns / divisor))
}

/// Formats a time in nanoseconds as a tick of an axis: like [`time_ns`], but without trailing
/// zeros, so `1 ms` and not `1.00 ms`.
pub fn time_tick_ns(ns: f64) -> String {
    let text = time_ns(ns);
    let (number, unit) = text.split_once(NO_BREAK_SPACE).expect("a time has a unit");
    format!("{}{NO_BREAK_SPACE}{unit}", trim(number))
}

/// Formats a number as a tick of an axis: like [`significant`], but without trailing zeros, so `5`
/// and not `5.00`.
pub fn tick(value: f64) -> String {
    trim(&significant(value)).to_owned()
}

/// Formats bytes in binary units: `12.3 MiB`.
pub fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let exponent = (0..units.len() - 1).find(|&power| value < 1024_f64.powf(power as f64 + 1.0));
    let exponent = exponent.unwrap_or(units.len() - 1);
    format!(
        "{}{NO_BREAK_SPACE}{}",
        significant(value / 1024_f64.powf(exponent as f64)),
        units[exponent]
    )
}

/// Formats a number that a person chose: whole numbers with thousands separators, others as they
/// are.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value >= 0.0 { count(value as u64) } else { value.to_string() }
}

/// Formats a share (0 to 1) as a percentage: `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{}{NO_BREAK_SPACE}%", significant(share * 100.0))
}

/// Formats an RFC 3339 time as `2026-03-01 12:00 UTC`; returns any other text as it is.
pub fn date(rfc3339: &str) -> String {
    let parsed = rfc3339.parse::<Timestamp>();
    parsed
        .map_or_else(|_| rfc3339.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Formats a count with its noun: `1 round`, `3 rounds`.
pub fn plural(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

fn trim(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Formats the processors that a process is pinned to, such as `on CPUs 0, 1`.
pub fn cpus(cpus: &[usize]) -> String {
    let list = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match cpus.len() {
        0 => "not pinned".to_owned(),
        1 => format!("on CPU {list}"),
        _ => format!("on CPUs {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.001_234, "0.00123"),
            (1.0, "1.00"),
            (9.996, "10.0"),
            (12.345, "12.3"),
            (999.6, "1,000"),
            (41_234.0, "41,200"),
            (-1.5, "−1.50"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn counts_set_thousands_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn times_pick_their_unit() {
        let cases = [
            (840.0, "840 ns"),
            (999.9, "1.00 µs"),
            (12_300.0, "12.3 µs"),
            (999.6e3, "1.00 ms"),
            (1.2e9, "1.20 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(time_ns(ns).replace(NO_BREAK_SPACE, " "), text);
        }
        assert_eq!(time_tick_ns(1e6).replace(NO_BREAK_SPACE, " "), "1 ms");
        assert_eq!(time_tick_ns(2.5e5).replace(NO_BREAK_SPACE, " "), "250 µs");
    }

    #[test]
    fn ticks_drop_digits_that_say_nothing() {
        assert_eq!([0.0, 0.5, 5.0, 20_000.0, 100.0].map(tick), ["0", "0.5", "5", "20,000", "100"]);
    }

    #[test]
    fn bytes_pick_their_unit() {
        let cases = [
            (0.0, "0 B"),
            (1023.0, "1,020 B"),
            (1_048_576.0, "1.00 MiB"),
            (12.5 * 1_048_576.0, "12.5 MiB"),
        ];
        for (value, text) in cases {
            assert_eq!(bytes(value).replace(NO_BREAK_SPACE, " "), text);
        }
    }

    #[test]
    fn dates_are_shown_to_the_minute() {
        assert_eq!(date("2026-03-01T12:00:07Z"), "2026-03-01 12:00 UTC");
        assert_eq!(date("noon"), "noon");
    }
}
