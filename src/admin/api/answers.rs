//! Answers that several operations have, for `responses(…)` in `#[utoipa::path]`. What follows from
//! the table of access (401, 403, …) is put in where the document is made, and stands in no handler.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

fn problem(status: &str, description: &str) -> BTreeMap<String, RefOr<Response>> {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response =
        ResponseBuilder::new().description(description).content("application/problem+json", content).build();
    BTreeMap::from([(status.to_owned(), response.into())])
}

/// An answer with a problem in it, by its status.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $status:literal $description:literal;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problem($status, $description)
            }
        }
    )+};
}

answers! {
    /// What is to be written cannot be.
    StoreAway: "503" "The store does not answer; nothing was changed";
    /// A password is asked for so often that somebody may be guessing.
    TooManyTries: "429" "Too many tries";
    /// `If-Match` names another revision.
    Changed: "412" "Somebody changed it meanwhile";
    /// Something in the body is no value for its key.
    Unusable: "422" "A value cannot be used";
}
