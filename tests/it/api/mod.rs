//! `/api/v1`, in process: the real router over a real fleet on the fake engine.

mod deeds;
mod document;
mod edits;
mod events;
mod history;
mod house;
mod listing;
mod logs;
mod orders;
mod owners;
mod reference;
mod system;
