//! Services as actors: a real fleet and store over the fake engine, under a stopped clock.

mod logged;
mod sleep;
mod survive;
mod wake;
mod world;
