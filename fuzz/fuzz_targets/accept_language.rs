//! `Accept-Language`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::html::Language;

fuzz_target!(|text: &str| {
    let chosen = Language::from_accept(text);
    // What is not named is not chosen.
    let named = text.split(',').any(|range| {
        range.trim().get(..2).is_some_and(|primary| primary.eq_ignore_ascii_case(chosen.code()))
    });
    assert!(named || text.contains('*') || chosen == Language::default());
    // A weight is between 0 and 1 (RFC 9110, 12.4.2): nothing goes before what has the highest.
    if chosen != Language::ENGLISH {
        let forced = Language::from_accept(&format!("en;q=1.0,{text}"));
        assert_eq!(forced, Language::ENGLISH, "a weight above 1");
    }
});
