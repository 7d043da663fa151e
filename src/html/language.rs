//! Which language a page speaks.

/// A language that pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    French,
}

impl Language {
    pub const ALL: &'static [Self] = &[Self::English, Self::French];

    /// The one that a reader understands best, by the value of `Accept-Language` (RFC 9110,
    /// 12.5.4); English where none of them is named.
    #[must_use]
    pub fn from_accept(value: &str) -> Self {
        let mut best = (0.0, Self::default());
        for range in value.split(',') {
            let (tag, quality) = range.split_once(';').unwrap_or((range, ""));
            let quality = quality.trim().strip_prefix("q=").map_or(1.0, |q| weight(q.trim()));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let known = Self::ALL.iter().find(|language| primary.eq_ignore_ascii_case(language.code()));
            if let Some(language) = known
                && quality > best.0
            {
                best = (quality, *language);
            }
        }
        best.1
    }

    /// The one with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.code() == code)
    }

    /// What its speakers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    /// The file with its texts.
    pub(super) const fn texts(self) -> &'static str {
        match self {
            Self::English => include_str!("../../templates/lang/en.json"),
            Self::French => include_str!("../../templates/lang/fr.json"),
        }
    }

    /// As in the `lang` attribute.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }
}

/// A weight (RFC 9110, 12.4.2): between 0 and 1. What is none counts for nothing.
fn weight(text: &str) -> f32 {
    text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_language_wins() {
        for (value, language) in [
            ("", Language::English),
            ("de-DE,de;q=0.9", Language::English),
            ("fr", Language::French),
            ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", Language::French),
            ("en-GB,en;q=0.9,fr;q=0.8", Language::English),
            ("de, FR;q=0.7, en;q=0.3", Language::French),
            ("fr;q=0, en", Language::English),
            ("fr;q=nonsense", Language::English),
            (";;,,q=", Language::English),
            // Found by the fuzz target: nothing weighs more than the most.
            ("en, fr;q=1.9", Language::English),
            ("en, fr;q=inf", Language::English),
            ("en, fr;q=NaN", Language::English),
        ] {
            assert_eq!(Language::from_accept(value), language, "{value:?}");
        }
    }
}
