//! The application's side: a request's way to it, and the head of its answer back.
//!
//! | file | what it is |
//! |---|---|
//! | `forward` | sends a request, and once more where that is safe |
//! | `pool`, `dial` | connections that are there, and new ones |
//! | `upload` | the body on its way, and what of it can be sent again |
//! | `interim`, `answer` | 1xx answers; what an answer's head may say |

pub(super) mod answer;
pub(super) mod dial;
pub(super) mod forward;
pub(super) mod interim;
pub(super) mod pool;
pub(super) mod upload;
