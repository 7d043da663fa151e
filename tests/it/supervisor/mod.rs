//! Services as actors: a real fleet and store over the fake engine, under a stopped clock.

mod history;
mod logged;
mod renamed;
mod retention;
mod sleep;
mod survive;
mod wake;
mod world;
