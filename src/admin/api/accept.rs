//! What kind of answer a client wants (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, StatusCode, header};

use crate::admin::problem::Problem;

/// The first of `offers` that the client likes best.
///
/// # Errors
/// The client takes none of them: 406, and what there is.
pub(super) fn choose(headers: &HeaderMap, offers: &[&'static str]) -> Result<&'static str, Problem> {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let first = offers.first().copied().unwrap_or("*/*");
    if accepted.iter().all(|value| value.trim().is_empty()) {
        return Ok(first);
    }
    let mut best: Option<(&'static str, f32)> = None;
    for offer in offers.iter().copied() {
        let quality = quality(&accepted, offer);
        if quality > 0.0 && best.is_none_or(|(_, so_far)| quality > so_far) {
            best = Some((offer, quality));
        }
    }
    best.map(|(offer, _)| offer).ok_or_else(|| {
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "The answer is of no kind that you accept")
            .detail(format!(
                "There is {} here: name it in `Accept`, or leave `Accept` out.",
                offers.join(", ")
            ))
    })
}

/// How much the client likes an offer; the most exact range that covers it decides.
fn quality(accepted: &[&str], offer: &str) -> f32 {
    let mut found: Option<(u8, f32)> = None;
    for range in accepted.iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("");
        let exactness = if kind.eq_ignore_ascii_case(offer) {
            3
        } else if kind == "*/*" {
            1
        } else if kind.split_once('/').is_some_and(|(kind, sub)| {
            sub == "*" && offer.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(kind))
        }) {
            2
        } else {
            continue;
        };
        let weight = parts
            .find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
            })
            .unwrap_or(1.0);
        if found.is_none_or(|(so_far, _)| exactness > so_far) {
            found = Some((exactness, weight));
        }
    }
    found.map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &[&str]) -> HeaderMap {
        accept.iter().map(|value| (header::ACCEPT, value.parse().unwrap())).collect()
    }

    const BOTH: &[&str] = &["text/plain", "text/event-stream"];

    #[test]
    fn the_best_liked_is_chosen_and_the_first_without_a_wish() {
        for (accept, chosen) in [
            (vec![], "text/plain"),
            (vec!["*/*"], "text/plain"),
            (vec!["text/event-stream"], "text/event-stream"),
            (vec!["text/*;q=0.5, text/event-stream"], "text/event-stream"),
            (vec!["text/plain;q=0.1", "text/event-stream;q=0.2"], "text/event-stream"),
            (vec!["*/*, text/plain;q=0"], "text/event-stream"),
            (vec!["TEXT/PLAIN"], "text/plain"),
        ] {
            assert_eq!(choose(&headers(&accept), BOTH).unwrap(), chosen, "{accept:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let problem = choose(&headers(&["image/png, text/html"]), &["application/json"]).unwrap_err();
        assert_eq!(problem.status, 406);
        assert!(problem.detail.unwrap().contains("application/json"));
        assert!(choose(&headers(&["application/json;q=0"]), &["application/json"]).is_err());
    }
}
