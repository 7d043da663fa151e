//! The lifecycle machine: told stories, and random walks against a model of the world.

mod by_hand;
mod stories;
mod walks;
