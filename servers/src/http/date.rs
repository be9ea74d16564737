//! The text of the `Date` header, formatted once per second, not once per request.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

const SECOND_NS: u64 = 1_000_000_000;

/// Cached text of the second that was requested last.
#[derive(Debug, Default)]
pub struct DateCache {
    text: String,
    /// Time at which the wall clock's next second begins.
    valid_until: Option<Instant>,
}

impl DateCache {
    /// Returns the current time as an IMF-fixdate (RFC 9110, section 5.6.7), 29 bytes.
    pub fn at(&mut self, now: Instant) -> &[u8] {
        if self.valid_until.is_none_or(|until| now >= until) {
            let wall = SystemTime::now();
            let second = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.valid_until =
                Some(now + Duration::from_nanos(SECOND_NS - u64::from(second.subsec_nanos())));
            self.text.clear();
            write!(self.text, "{}", HttpDate::from(wall)).expect("a String takes any text");
        }
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_an_imf_fixdate() {
        let mut cache = DateCache::default();
        let text = String::from_utf8(cache.at(Instant::now()).to_vec()).unwrap();
        assert_eq!(text.len(), 29, "{text}");
        assert!(text.ends_with(" GMT"), "{text}");
        assert!(httpdate::parse_http_date(&text).is_ok());
    }

    #[test]
    fn looks_at_the_wall_clock_once_a_second() {
        let mut cache = DateCache::default();
        let now = Instant::now();
        cache.at(now);
        let until = cache.valid_until.unwrap();
        assert!(until > now && until <= now + Duration::from_secs(1));
        cache.at(now);
        assert_eq!(cache.valid_until, Some(until));
        cache.at(until);
        assert_ne!(cache.valid_until, Some(until));
    }
}
