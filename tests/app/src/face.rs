//! What `/` shows.

use crate::serve::State;
use crate::switches::Face;

/// Content type and text.
pub fn page(state: &State) -> (&'static str, String) {
    let page = match state.switches.face {
        Face::Text => return ("text/plain; charset=utf-8", format!("awake: {}\n", state.instance)),
        Face::Static => include_str!("../faces/static.html"),
        Face::Slow => include_str!("../faces/slow.html"),
        Face::Echo => include_str!("../faces/echo.html"),
    };
    let html = page
        .replace("{style}", include_str!("../faces/style.css"))
        .replace("{instance}", &state.instance)
        .replace("{healthy_after}", &format!("{:?}", state.switches.healthy_after));
    ("text/html; charset=utf-8", html)
}
