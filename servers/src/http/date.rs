//! The `Date` header's text, formatted once a second rather than once a request.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// The text of the last second that was asked for.
#[derive(Debug, Default)]
pub struct DateCache {
    unix_second: u64,
    text: String,
}

impl DateCache {
    /// The time of now as an IMF-fixdate (RFC 9110, section 5.6.7), 29 octets.
    pub fn now(&mut self) -> &[u8] {
        let now = SystemTime::now();
        let unix_second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if unix_second != self.unix_second || self.text.is_empty() {
            self.unix_second = unix_second;
            self.text.clear();
            write!(self.text, "{}", HttpDate::from(now)).expect("a String takes any text");
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
        let text = String::from_utf8(cache.now().to_vec()).unwrap();
        assert_eq!(text.len(), 29, "{text}");
        assert!(text.ends_with(" GMT"), "{text}");
        assert!(httpdate::parse_http_date(&text).is_ok());
    }
}
