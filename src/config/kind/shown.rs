//! Kinds that are shown to people: they hold nothing that steers a page or turns text around.

use figment::value::Value;
use serde_json::{Value as Json, json};

use super::plain::prose;
use super::{Kind, text};
use crate::config::problem::{Fault, Faults};

/// The longest icon, in characters: one emoji may be seven.
const ICON: usize = 8;
/// The longest name of a user, in characters.
const USER: usize = 64;

/// Characters that change how others are shown, without being seen themselves.
pub(in crate::config) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A line of text of at most `MOST` characters.
pub(in crate::config) struct Line<const MOST: usize>;

impl<const MOST: usize> Kind for Line<MOST> {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let reason = |odd: char| format!("holds {odd:?}, which is not to be seen");
        Ok(prose(text(value)?.trim(), MOST, is_hidden, reason)?)
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": MOST })
    }

    fn describe() -> String {
        format!("a line of text, up to {MOST} characters")
    }
}

/// An emoji or a few letters. Never an address: a page fetches nothing that a label names.
pub(in crate::config) struct Icon;

impl Kind for Icon {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?.trim();
        let mend = "write an emoji, or up to 8 letters";
        if text.is_empty() {
            return Err(Fault::new("is empty", mend).into());
        }
        // Emojis are put together with a joiner that is not to be seen either.
        let odd = text.chars().find(|c| {
            (is_hidden(*c) && *c != '\u{200d}') || c.is_whitespace() || "/\\:<>&\"'`{}".contains(*c)
        });
        if let Some(odd) = odd {
            return Err(Fault::new(format!("holds {odd:?}, and is no emoji"), mend).into());
        }
        if text.chars().count() > ICON {
            return Err(Fault::new(format!("is longer than {ICON} characters"), mend).into());
        }
        Ok(text.to_owned())
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": ICON })
    }

    fn describe() -> String {
        format!("emoji, or up to {ICON} letters")
    }
}

/// The name of somebody who logs in.
pub(in crate::config) struct UserName;

impl Kind for UserName {
    type Value = String;

    fn read(value: &Value) -> Result<String, Faults> {
        let text = text(value)?;
        let mend = "write the name the user logs in with";
        if text.is_empty() || text.chars().count() > USER {
            return Err(Fault::new(format!("is not 1 to {USER} characters long"), mend).into());
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._@+-".contains(*c)) {
            Some(odd) => Err(Fault::new(format!("holds the character {odd:?}"), mend).into()),
            None => Ok(text.to_owned()),
        }
    }

    fn show(value: &String) -> Json {
        json!(value)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9._@+-]{1,64}$" })
    }

    fn describe() -> String {
        "name of a user".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_are_emojis_and_never_addresses() {
        let read = |text: &str| Icon::read(&Value::from(text));
        for good in ["🎬", "👨‍👩‍👧‍👦", "🇫🇷", "❤️", "NC", " TV "] {
            assert!(read(good).is_ok(), "{good:?}");
        }
        for bad in ["", "https://x", "//x/y.png", "a b", "<b>", "\u{202e}ab", "jellyfin.png", "\u{200b}"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_hold_nothing_that_turns_them_around() {
        let read = |text: &str| Line::<8>::read(&Value::from(text));
        assert_eq!(read(" Media ").unwrap(), "Media");
        for bad in ["", " ", "a\nb", "a\u{202e}b", "123456789"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
