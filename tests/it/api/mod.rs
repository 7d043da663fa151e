//! `/api/v1`, in process: the real router over a real fleet on the fake engine.

mod document;
mod house;
mod listing;
mod orders;
