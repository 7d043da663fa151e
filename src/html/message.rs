//! Sentences of the source in the reader's language: why a value cannot be used and how to mend it,
//! why a request is refused.
//!
//! They are written in English where they arise, for the log and the command line too, and some of
//! them are stored. A language has a sentence for each under the English one, places and all:
//! `is shorter than {least}`. What is in no language's list stays as it is: it comes from Docker, from
//! Caddy, or from the reader.

use crate::html::Language;

/// How deep sentences lie in the places of others.
const DEEPEST: u8 = 2;

/// The sentence in a language, or as it is where the language has none.
#[must_use]
pub fn say(language: Language, english: &str) -> String {
    if language == Language::ENGLISH {
        return english.to_owned();
    }
    translated(language, english, 0).unwrap_or_else(|| english.to_owned())
}

fn translated(language: Language, english: &str, depth: u8) -> Option<String> {
    whole(language, english, depth)
        .or_else(|| sentence(language, english, depth))
        .or_else(|| behind_its_key(language, english, depth))
}

/// A sentence that is in the list.
fn whole(language: Language, english: &str, depth: u8) -> Option<String> {
    if let Some(text) = language.message(english) {
        return Some(text.to_owned());
    }
    // What has the most words of its own says it best.
    let fits = language.messages().filter_map(|(model, own)| {
        let places = places(model, english)?;
        Some((english.len() - places.iter().map(|(_, value)| value.len()).sum::<usize>(), places, own))
    });
    let (_, places, own) = fits.max_by_key(|(words, ..)| *words)?;
    Some(places.into_iter().fold(own.to_owned(), |text, (name, value)| {
        let place = format!("{{{name}}}");
        // What stands between marks is to be written as it is.
        let marked = text.contains(&format!("`{place}"));
        let said = if marked || depth >= DEEPEST { None } else { translated(language, value, depth + 1) };
        text.replace(&place, said.as_deref().unwrap_or(value))
    }))
}

/// What is in the list without its capital and its full stop.
fn sentence(language: Language, english: &str, depth: u8) -> Option<String> {
    let plain = english.strip_suffix('.');
    let mut letters = english.chars();
    let first = letters.next().filter(|first| first.is_ascii_uppercase());
    let begun = first.map(|first| format!("{}{}", first.to_ascii_lowercase(), letters.as_str()));
    if let Some(own) = plain.and_then(|plain| whole(language, plain, depth)) {
        return Some(format!("{own}."));
    }
    let begun = begun?;
    let own = match begun.strip_suffix('.') {
        Some(plain) => format!("{}.", whole(language, plain, depth)?),
        None => whole(language, &begun, depth)?,
    };
    let mut letters = own.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect())
}

/// What completes the sentence that begins with a key: `idle.stop_after is empty`.
fn behind_its_key(language: Language, english: &str, depth: u8) -> Option<String> {
    let (key, rest) = english.split_once(' ')?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-[]?:".contains(&byte));
    if !is_key {
        return None;
    }
    // The name of a container goes before the key of its label.
    let own = whole(language, rest, depth).or_else(|| behind_its_key(language, rest, depth))?;
    Some(format!("{key} {own}"))
}

/// What stands in the places of a sentence; `None`: it is another one.
fn places<'a>(model: &'static str, text: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let (start, mut model) = model.split_once('{')?;
    let mut rest = text.strip_prefix(start)?;
    let mut found = Vec::new();
    loop {
        let (name, after) = model.split_once('}')?;
        let (value, behind) = match after.split_once('{') {
            // The last place ends where the sentence ends.
            None => (rest.strip_suffix(after)?, ""),
            Some((between, _)) => rest.split_once(between)?,
        };
        if value.is_empty() {
            return None;
        }
        found.push((name, value));
        match after.split_once('{') {
            None => return Some(found),
            Some((_, next)) => (rest, model) = (behind, next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn french(english: &str) -> String {
        say(Language::from_code("fr").unwrap(), english)
    }

    #[test]
    fn places_are_found_from_the_left() {
        assert_eq!(places("is longer than {most}", "is longer than 5s"), Some(vec![("most", "5s")]));
        assert_eq!(
            places("write a whole number from {0} to {1}", "write a whole number from 1 to 500"),
            Some(vec![("0", "1"), ("1", "500")])
        );
        assert_eq!(
            places("{host} belongs to {by}.", "a.b belongs to c."),
            Some(vec![("host", "a.b"), ("by", "c")])
        );
        for text in ["", "is longer than ", "is longer", "was longer than 5s"] {
            assert_eq!(places("is longer than {most}", text), None, "{text:?}");
        }
        assert_eq!(places("is empty", "is empty"), None, "it has none");
    }

    #[test]
    fn sentences_are_said_in_french() {
        for (english, own) in [
            ("is empty", "est vide"),
            ("idle.stop_after is empty", "idle.stop_after est vide"),
            ("hosts[1] is empty", "hosts[1] est vide"),
            ("web-1: wakedock.port is empty", "web-1: wakedock.port est vide"),
            ("is shorter than 1ms", "est plus court que 1ms"),
            ("Log in first", "Connectez-vous d’abord"),
            ("There is no such token.", "Ce jeton n’existe pas."),
            ("is a number, and text is wanted", "est un nombre, là où il faut un texte"),
            ("wait is not a duration", "wait n’est pas une durée"),
        ] {
            assert_eq!(french(english), own);
        }
    }

    #[test]
    fn what_is_not_ours_stays() {
        for text in
            ["", " ", "exec: \"/app\": permission denied", "é", "{}", "write", "is empty or so", "a b c"]
        {
            assert_eq!(french(text), text);
        }
        assert_eq!(say(Language::ENGLISH, "is empty"), "is empty");
        // A name that reads like a sentence of ours, where names stand.
        assert_eq!(french("write `is empty`"), "écrivez `is empty`");
    }
}
