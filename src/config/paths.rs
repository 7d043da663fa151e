//! Where a key stands: its path, and the one that was meant by a slip of the keyboard.

/// `a.b` from `a` and `b`; either may be empty.
pub(super) fn join(base: &str, name: &str) -> String {
    match (base, name) {
        ("", name) => name.to_owned(),
        (base, "") => base.to_owned(),
        (base, name) => format!("{base}.{name}"),
    }
}

/// The candidate that a slip of the keyboard would have turned into `written`.
pub(super) fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let written = plain(written);
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&written, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
