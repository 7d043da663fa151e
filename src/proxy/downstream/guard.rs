//! Under hyper's feet: only what is a request by [`grammar`](crate::proxy::grammar) reaches it.
//!
//! hyper reads more than RFC 9112 allows, and answers what it does not read with a bare status. So
//! the bytes of a client pass here first. A head goes through whole or not at all; where one is not
//! a request, hyper is given one that no client can send, and the refusal it stands for is answered
//! like every other, after the answers to what was pipelined before it.

use bytes::{Buf, Bytes};
use http::{Method, Request};
use tokio::io::ReadBuf;

use crate::proxy::downstream::state::ConnState;
use crate::proxy::grammar::requests::{Requests, Step};
use crate::proxy::grammar::{Bounds, Violation};
use crate::proxy::trouble::Trouble;

/// What stands for a request that is none: the asterisk is for `OPTIONS` alone.
const STAND_IN: &str = " * HTTP/1.1\r\nConnection: close\r\n\r\n";

/// What the next read does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Ahead {
    /// Takes what is ready.
    Give,
    /// Reads from the socket.
    Read,
    /// Nothing is to be read for now.
    Wait,
    /// A body broke its own rules.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Following,
    /// Whether the connection leaves HTTP is up to the answer: what comes meanwhile is kept.
    Undecided,
    /// Not HTTP/1, or not any more.
    Blind,
    /// The last that hyper saw stands for what was refused.
    Refused,
    Broken,
}

/// What of a client's bytes hyper may see. Between messages it holds no memory.
#[derive(Debug)]
pub(in crate::proxy) struct Guard {
    requests: Requests,
    mode: Mode,
    /// In order, and not given to hyper yet.
    ready: Bytes,
    /// The part of a head that has come, or what follows a request to leave HTTP.
    held: Vec<u8>,
}

impl Guard {
    /// For an HTTP/1 connection of which `first` has been read.
    pub(in crate::proxy) fn new(bounds: Bounds, first: Bytes, state: &ConnState) -> Self {
        let requests = Requests::new(bounds);
        let mut guard = Self { requests, mode: Mode::Following, ready: Bytes::new(), held: Vec::new() };
        let passed = guard.arrive(&first, state);
        guard.prepend(first.slice(..passed));
        guard
    }

    /// Says whether the last byte is in the middle of a body.
    fn tell(&self, state: &ConnState) {
        state.in_body(self.mode == Mode::Following && self.requests.in_body());
    }

    /// Lets everything through.
    pub(in crate::proxy) fn blind(first: Bytes) -> Self {
        let requests = Requests::new(Bounds { head: 0, fields: 0, target: 0 });
        Self { requests, mode: Mode::Blind, ready: first, held: Vec::new() }
    }

    /// Whether everything goes through unread.
    pub(in crate::proxy) fn is_blind(&self) -> bool {
        self.mode == Mode::Blind
    }

    /// What the next read is to do.
    pub(in crate::proxy) fn ahead(&mut self, state: &ConnState) -> Ahead {
        if self.mode == Mode::Undecided {
            self.decide(state);
        }
        if !self.ready.is_empty() {
            return Ahead::Give;
        }
        match self.mode {
            Mode::Following | Mode::Blind => Ahead::Read,
            // Once there is something, no more is taken until it is clear what it is.
            Mode::Undecided if self.held.is_empty() => Ahead::Read,
            Mode::Undecided | Mode::Refused => Ahead::Wait,
            Mode::Broken => Ahead::Broken,
        }
    }

    /// Gives what is ready.
    pub(in crate::proxy) fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.ready.len().min(buf.remaining());
        buf.put_slice(&self.ready[..n]);
        self.ready.advance(n);
        if self.ready.is_empty() {
            // The memory is not kept for the next.
            self.ready = Bytes::new();
        }
    }

    /// Judges what was read. So many of these bytes may be seen at once; the rest is seen to.
    pub(in crate::proxy) fn arrive(&mut self, bytes: &[u8], state: &ConnState) -> usize {
        if self.mode == Mode::Blind {
            return bytes.len();
        }
        let passed = self.take_in(bytes, state);
        self.tell(state);
        passed
    }

    fn take_in(&mut self, bytes: &[u8], state: &ConnState) -> usize {
        if self.mode == Mode::Undecided || !self.held.is_empty() {
            self.held.extend_from_slice(bytes);
            if self.mode == Mode::Following {
                self.judge_held(state);
            }
            return 0;
        }
        let (passed, keep) = self.judge(bytes, state);
        if keep {
            self.held.extend_from_slice(&bytes[passed..]);
        }
        passed
    }

    /// Judges what was held, now that there is more of it.
    fn judge_held(&mut self, state: &ConnState) {
        let mut held = std::mem::take(&mut self.held);
        let (passed, keep) = self.judge(&held, state);
        if passed == 0 && keep {
            self.held = held;
            return;
        }
        if keep {
            self.held = held[passed..].to_vec();
        }
        held.truncate(passed);
        self.prepend(held.into());
    }

    /// How many of these bytes pass, and whether the rest is kept.
    fn judge(&mut self, bytes: &[u8], state: &ConnState) -> (usize, bool) {
        let mut passed = 0;
        state.in_head(false);
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match self.requests.step(rest) {
                Step::Pass(n) => passed += n,
                Step::Upgrade(n) => {
                    self.mode = Mode::Undecided;
                    return (passed + n, passed + n < bytes.len());
                }
                Step::Part => {
                    // Some clients send an empty line after a body, and nothing after that.
                    state.in_head(!rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')));
                    return (passed, true);
                }
                Step::NoRequest(violation) => {
                    self.refuse(violation, rest, state);
                    break;
                }
                Step::Broken(n, violation) => {
                    tracing::debug!(?violation, "a client's body is broken");
                    self.mode = Mode::Broken;
                    return (passed + n, false);
                }
            }
        }
        (passed, false)
    }

    fn refuse(&mut self, violation: Violation, bytes: &[u8], state: &ConnState) {
        state.violated(violation);
        self.mode = Mode::Refused;
        let method = if bytes.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        self.ready = Bytes::from([method, STAND_IN].concat());
    }

    /// Once the request that asked to leave HTTP is answered, it is clear what followed it.
    fn decide(&mut self, state: &ConnState) {
        if state.upgraded() {
            self.mode = Mode::Blind;
            self.ready = std::mem::take(&mut self.held).into();
        } else if state.answered() == self.requests.heads() {
            self.mode = Mode::Following;
            if !self.held.is_empty() {
                self.judge_held(state);
            }
            self.tell(state);
        }
    }

    fn prepend(&mut self, bytes: Bytes) {
        if self.ready.is_empty() {
            self.ready = bytes;
        } else if !bytes.is_empty() {
            self.ready = [&*bytes, &*self.ready].concat().into();
        }
    }
}

/// The refusal that this request stands for.
pub(in crate::proxy) fn refused<B>(state: &ConnState, request: &Request<B>) -> Option<Trouble> {
    let violation = state.violation()?;
    let stands_in = request.uri().path() == "*" && *request.method() != Method::OPTIONS;
    stands_in.then_some(match violation {
        Violation::Malformed(text) => Trouble::BadRequest(text),
        Violation::TargetTooLong => Trouble::TargetTooLong,
        Violation::HeadTooLarge => Trouble::HeadTooLarge,
    })
}
