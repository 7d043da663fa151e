//! Which language a page speaks, and its texts.
//!
//! A language is a file in `templates/lang`. `build.rs` makes tables of them, so that a text is found
//! by its number, and nothing is read or kept in memory for it.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// Ranges of one request that are looked at; no browser sends more.
const MOST_RANGES: usize = 64;

/// A language that pages are written in.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Language(u8);

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// A text, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u16);

/// Many texts in one.
struct Strings {
    text: &'static str,
    ends: &'static [u32],
}

impl Strings {
    fn get(&self, at: usize) -> &'static str {
        let end =
            |at: usize| self.ends.get(at).and_then(|end| usize::try_from(*end).ok()).unwrap_or_default();
        let start = at.checked_sub(1).map_or(0, end);
        self.text.get(start..end(at)).unwrap_or_default()
    }

    /// Where a text stands in a list that is sorted.
    fn find(&self, wanted: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl Language {
    /// The one that everything is first written in.
    pub const ENGLISH: Self = Self(0);
    /// English first, then by their tags.
    pub const ALL: &'static [Self] = ALL;

    /// The one that a reader understands best, by the value of `Accept-Language` (RFC 9110, 12.5.4),
    /// each range looked up as RFC 4647, 3.4 has it: `fr-CA` is served by `fr`. English where none of
    /// them is named.
    #[must_use]
    pub fn from_accept(value: &str) -> Self {
        Self::best(value.split(','))
    }

    /// As [`Language::from_accept`], by the fields of a request.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        Self::from_accept(&lines.collect::<Vec<_>>().join(","))
    }

    fn best<'a>(ranges: impl Iterator<Item = &'a str> + Clone) -> Self {
        let ranges =
            ranges.take(MOST_RANGES).enumerate().filter_map(|(at, range)| Some((at, Range::read(range)?)));
        let mut best = (0, Self::default());
        for &language in Self::ALL {
            // The weight, and of those that weigh the same the one that stands first.
            let mut own: Option<(u16, std::cmp::Reverse<usize>)> = None;
            let (mut star, mut refused) = (0, false);
            for (at, range) in ranges.clone() {
                if range.tag == "*" {
                    star = star.max(range.weight);
                } else if range.weight == 0 {
                    refused |= is_within(language.code(), range.tag);
                } else if Self::look_up(range.tag) == Some(language) {
                    own = own.max(Some((range.weight, std::cmp::Reverse(at))));
                }
            }
            let named = ranges
                .clone()
                .any(|(_, range)| range.weight > 0 && range.tag.eq_ignore_ascii_case(language.code()));
            let weight = match own {
                // What is refused as a whole is not taken for a part of it.
                Some((weight, std::cmp::Reverse(at))) if named || !refused => rank(weight, at),
                None if !refused => rank(star, MOST_RANGES),
                Some(_) | None => 0,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The one that a range leads to, by leaving out what stands last until there is one.
    fn look_up(range: &str) -> Option<Self> {
        let mut range = range;
        loop {
            if let Some(language) =
                Self::ALL.iter().find(|language| language.code().eq_ignore_ascii_case(range))
            {
                return Some(*language);
            }
            range = &range[..range.rfind('-')?];
            // A single letter only begins what was left out.
            if let Some(shorter) =
                range.len().checked_sub(2).filter(|at| range.as_bytes().get(*at) == Some(&b'-'))
            {
                range = &range[..shorter];
            }
        }
    }

    /// The one with this tag.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.code() == code)
    }

    /// What its speakers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.get(key::LANGUAGE)
    }

    /// As in the `lang` attribute and in `Content-Language`.
    #[must_use]
    pub fn code(self) -> &'static str {
        TAGS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The text of that number.
    pub(super) fn get(self, key: Key) -> &'static str {
        TEXTS.get(usize::from(self.0)).map_or("", |texts| texts.get(usize::from(key.0)))
    }

    /// The text under a key; `None`: there is none.
    pub(super) fn text(self, key: &str) -> Option<&'static str> {
        let at = KEYS.find(key)?;
        TEXTS.get(usize::from(self.0)).map(|texts| texts.get(at)).filter(|text| !text.is_empty())
    }

    /// A sentence of the source in this language; `None`: it is not in the list.
    pub(super) fn message(self, english: &str) -> Option<&'static str> {
        self.message_at(MESSAGES.find(english)?)
    }

    /// Every sentence of the source with this language's.
    pub(super) fn messages(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        (0..MESSAGES.ends.len()).filter_map(move |at| Some((MESSAGES.get(at), self.message_at(at)?)))
    }

    fn message_at(self, at: usize) -> Option<&'static str> {
        TRANSLATED.get(usize::from(self.0)).map(|texts| texts.get(at)).filter(|text| !text.is_empty())
    }
}

/// What weighs more comes first, and of the same weight what stands first.
fn rank(weight: u16, at: usize) -> usize {
    if weight == 0 { 0 } else { usize::from(weight) * (MOST_RANGES + 1) + (MOST_RANGES - at) }
}

/// Whether a tag is that of a range, or one below it.
fn is_within(tag: &str, range: &str) -> bool {
    tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range))
        && matches!(tag.as_bytes().get(range.len()), None | Some(b'-'))
}

/// One range of `Accept-Language`.
#[derive(Clone, Copy)]
struct Range<'a> {
    tag: &'a str,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// `None`: it is none.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let letters = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let mut weight = 1000;
        for part in parts {
            let (name, value) = part.split_once('=')?;
            if name.trim_end().eq_ignore_ascii_case("q") {
                weight = thousandths(value.trim_start())?;
            }
        }
        ((letters && !tag.is_empty()) || tag == "*").then_some(Self { tag, weight })
    }
}

/// A weight (RFC 9110, 12.4.2): from 0 to 1, with three figures behind the point at most.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let places = [1000, 100, 10, 1];
    let fraction = fraction.parse().unwrap_or(0_u16) * places.get(fraction.len()).copied().unwrap_or(0);
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_language_wins() {
        let french = Language::from_code("fr").unwrap();
        for (value, language) in [
            ("", Language::ENGLISH),
            ("de-DE,de;q=0.9", Language::ENGLISH),
            ("fr", french),
            ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", french),
            ("en-GB,en;q=0.9,fr;q=0.8", Language::ENGLISH),
            ("de, FR;q=0.7, en;q=0.3", french),
            ("fr;q=0, en", Language::ENGLISH),
            ("fr;q=nonsense", Language::ENGLISH),
            (";;,,q=", Language::ENGLISH),
            // Found by the fuzz target: nothing weighs more than the most.
            ("en, fr;q=1.9", Language::ENGLISH),
            ("en, fr;q=inf", Language::ENGLISH),
            ("en, fr;q=NaN", Language::ENGLISH),
            // Ranges are looked up, from the longest to the shortest (RFC 4647, 3.4).
            ("fr-CA", french),
            ("de, fr-CA-x-quebec;q=0.4", french),
            ("FR-latn-ca", french),
            ("frr", Language::ENGLISH),
            ("fr_FR", Language::ENGLISH),
            // Weights decide, and then the order.
            ("en;q=0.8, fr;q=0.9", french),
            ("fr;q=0.8, en;q=0.8", french),
            ("en;q=0.8, fr;q=0.8", Language::ENGLISH),
            ("fr ; Q = 0.8 , en;q=0.7", french),
            ("en;q=0.001, fr;q=0.01", french),
            // A star is whatever is not named.
            ("*", Language::ENGLISH),
            ("de, *;q=0.1", Language::ENGLISH),
            ("fr;q=0.1, *", Language::ENGLISH),
            ("fr;q=0.5, *;q=0.5", french),
            ("en;q=0, *", french),
            ("en;q=0, *;q=0", Language::ENGLISH),
            ("fr;q=0, fr-CA", Language::ENGLISH),
            ("fr-CA;q=0, fr", french),
            ("*;q=0", Language::ENGLISH),
        ] {
            assert_eq!(Language::from_accept(value), language, "{value:?}");
        }
    }

    #[test]
    fn fields_on_several_lines_are_one_and_long_ones_are_cut() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_LANGUAGE, "de".parse().unwrap());
        headers.append(ACCEPT_LANGUAGE, "fr;q=0.5".parse().unwrap());
        headers.append(ACCEPT_LANGUAGE, http::HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(Language::accepted(&headers).code(), "fr");
        assert_eq!(Language::accepted(&HeaderMap::new()), Language::ENGLISH);
        let long = format!("{}fr", "x,".repeat(MOST_RANGES));
        assert_eq!(Language::from_accept(&long), Language::ENGLISH);
    }

    #[test]
    fn texts_are_found_by_key_and_by_number() {
        for &language in Language::ALL {
            assert_eq!(language.text("language"), Some(language.name()));
            assert!(!language.code().is_empty() && !language.name().is_empty());
            assert!(language.text("no-such-text").is_none() && language.text("").is_none());
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
        assert!(KEYS.ends.len() > 300 && KEYS.ends.len() == TEXTS[0].ends.len());
        assert_eq!(Language::from_code("FR"), None);
    }
}
