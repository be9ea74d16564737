//! `/bytes/N?length=…`: the body of `/bytes/N` whose length is told in another way than by a right
//! `Content-Length`, to show what a client makes of that.
//!
//! | `length` | head | what follows on a connection that stays open |
//! |---|---|---|
//! | `none` | no length at all | the client waits for the end of the connection |
//! | `chunked` | `Transfer-Encoding: chunked`, and a right body | the next response |
//! | `short` | a `Content-Length` of half the body | the rest of the body, in front of the next response |
//! | `long` | a `Content-Length` of twice the body | the next response, as a part of this body |
//!
//! None of them closes a connection that would otherwise stay open. Only the time limit for idle
//! clients ends the wait of a client that has got no length, or too long a one.

/// A response whose length is told in a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// Number of bytes of the body: the smallest type for the longest body, so that a reply with
    /// this in it is no larger than others.
    pub length: u32,
    /// Way in which the head tells the length.
    pub told: Told,
}

/// Way in which the head of a response tells the length of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Not at all.
    None,
    /// In front of each part of the body.
    Chunked,
    /// A `Content-Length` smaller than the body.
    Short,
    /// A `Content-Length` larger than the body.
    Long,
}

impl Lesson {
    /// Parses the value of `length`; returns `None` if there is no such lesson. An empty body has no
    /// wrong length that is smaller.
    pub fn parse(length: usize, told: &[u8]) -> Option<Self> {
        let told = match told {
            b"none" => Told::None,
            b"chunked" => Told::Chunked,
            b"short" if length > 0 => Told::Short,
            b"long" if length > 0 => Told::Long,
            _ => return None,
        };
        Some(Self { length: length.try_into().ok()?, told })
    }

    /// Returns the `Content-Length` of the head, if it has one.
    pub fn content_length(self) -> Option<u32> {
        match self.told {
            Told::None | Told::Chunked => None,
            Told::Short => Some(self.length / 2),
            Told::Long => Some(self.length * 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_is_asked_for_by_name() {
        assert_eq!(Lesson::parse(7, b"none"), Some(Lesson { length: 7, told: Told::None }));
        assert_eq!(Lesson::parse(0, b"chunked"), Some(Lesson { length: 0, told: Told::Chunked }));
        for value in ["", "None", "short&x", "8"] {
            assert_eq!(Lesson::parse(7, value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_wrong_length_differs_from_that_of_the_body() {
        for length in [1, 2, 16 * 1024 * 1024] {
            let stated = |told: &[u8]| {
                Lesson::parse(length, told).unwrap().content_length().unwrap() as usize
            };
            assert!(stated(b"short") < length && stated(b"long") > length, "{length}");
        }
        assert_eq!((Lesson::parse(0, b"short"), Lesson::parse(0, b"long")), (None, None));
    }
}
