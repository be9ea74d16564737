//! Numbers as a person reads them: three significant digits, thousands set apart, the unit that
//! fits.

use jiff::Timestamp;

/// Placeholder of a missing number.
pub const MISSING: &str = "–";

/// Between a number and its unit, so that no line breaks there.
const NO_BREAK_SPACE: char = '\u{a0}';

/// A count, thousands set apart: `1,234,567`.
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

/// Three significant digits: `0.0123`, `1.23`, `12.3`, `123`, `12,300`.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { MISSING.to_owned() };
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let magnitude = value.abs().log10().floor() as i32;
    let step = 10_f64.powi(magnitude - 2);
    let rounded = (value.abs() / step).round() * step;
    // Rounding may have carried into the next digit: 9.996 is 10.0, not 10.00.
    let decimals = 2 - rounded.log10().floor() as i32;
    if decimals > 0 {
        return format!("{sign}{rounded:.*}", decimals as usize);
    }
    format!("{sign}{}", count(rounded.round() as u64))
}

/// A time given in nanoseconds, in the unit that fits: `840 ns`, `1.23 µs`, `12.3 ms`, `1.20 s`.
pub fn time_ns(ns: f64) -> String {
    // A unit begins where three digits would round up to it, so that 999.9 µs reads 1.00 ms, not
    // 1,000 µs.
    let (divisor, unit) = match ns {
        ns if ns < 999.5 => (1.0, "ns"),
        ns if ns < 999.5e3 => (1e3, "µs"),
        ns if ns < 999.5e6 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{}{NO_BREAK_SPACE}{unit}", significant(ns / divisor))
}

/// A time as a tick of an axis: as [`time_ns`], without digits that say nothing: `1 ms`, not `1.00
/// ms`.
pub fn time_tick_ns(ns: f64) -> String {
    let text = time_ns(ns);
    let (number, unit) = text.split_once(NO_BREAK_SPACE).expect("a time has a unit");
    format!("{}{NO_BREAK_SPACE}{unit}", trim(number))
}

/// A number as a tick of an axis: as [`significant`], without digits that say nothing: `5`, not
/// `5.00`.
pub fn tick(value: f64) -> String {
    trim(&significant(value)).to_owned()
}

/// Bytes in binary units: `12.3 MiB`.
pub fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let exponent = (0..units.len() - 1).find(|&power| value < 1024_f64.powf(power as f64 + 1.0));
    let exponent = exponent.unwrap_or(units.len() - 1);
    format!("{}{NO_BREAK_SPACE}{}", significant(value / 1024_f64.powf(exponent as f64)), units[exponent])
}

/// A number that a person chose: whole ones with thousands set apart, others as they are.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value >= 0.0 { count(value as u64) } else { value.to_string() }
}

/// A share (0 to 1) as a percentage: `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{}{NO_BREAK_SPACE}%", significant(share * 100.0))
}

/// An RFC 3339 time as `2026-03-01 12:00 UTC`; as it is where it is no such time.
pub fn date(rfc3339: &str) -> String {
    let parsed = rfc3339.parse::<Timestamp>();
    parsed.map_or_else(|_| rfc3339.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// `1 round`, `3 rounds`.
pub fn plural(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

fn trim(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Processors that something is pinned to, such as `on CPUs 0, 1`.
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
        let cases =
            [(0.0, "0 B"), (1023.0, "1,020 B"), (1_048_576.0, "1.00 MiB"), (12.5 * 1_048_576.0, "12.5 MiB")];
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
