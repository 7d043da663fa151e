//! The built binary, real Docker, real Caddy.

mod harness;
