//! HTTP/2 frames as they come in, known by their heads alone: what h2 takes without a murmur is
//! counted here, so that a flood costs its sender the connection.

use crate::domain::time::Moment;

/// The client's connection preface.
const PREFACE: usize = 24;
const HEAD: usize = 9;

mod kind {
    pub(in crate::proxy) const DATA: u8 = 0;
    pub(in crate::proxy) const HEADERS: u8 = 1;
    pub(in crate::proxy) const RST_STREAM: u8 = 3;
    pub(in crate::proxy) const GOAWAY: u8 = 7;
    pub(in crate::proxy) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::proxy) const CONTINUATION: u8 = 9;
}

mod flag {
    pub(in crate::proxy) const END_STREAM: u8 = 1;
    pub(in crate::proxy) const END_HEADERS: u8 = 4;
    pub(in crate::proxy) const PADDED: u8 = 8;
}

/// What a connection may spend at once. Clients that do nothing wrong send a few such frames a
/// request; a browser that leaves a page resets a hundred streams, a gRPC client pings.
const BURST: u32 = 5000;
/// What it gets back with time.
const PER_SECOND: u64 = 1000;
/// One more for so many bytes that the client took: a reader opens its windows as it reads.
const BYTES: usize = 128;
/// A request made and taken back costs us a turn at the upstream, and the client nothing.
const RESET: u32 = 20;
/// A frame that carries nothing.
const IDLE: u32 = 2;
/// Windows are opened for a reason mostly.
const WINDOW: u32 = 1;

/// Reasons of RST_STREAM and GOAWAY (RFC 9113, 7).
const REFUSED_STREAM: u32 = 7;
pub(in crate::proxy) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// The client sends more frames that carry nothing than any client has reason to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a flood of HTTP/2 frames that carry nothing")]
pub(in crate::proxy) struct Flood;

/// Where the bytes of the client are in the grammar of frames.
#[derive(Debug)]
pub(in crate::proxy) struct Frames {
    preface: usize,
    head: [u8; HEAD],
    /// How much of the head has come.
    have: usize,
    /// How much of the payload has not.
    left: usize,
    /// The next byte says how much of the payload is padding.
    padding_next: bool,
    /// A block of fields has begun and not ended.
    block: Option<Moment>,
    highest: u32,
    allowance: u32,
    refilled: Moment,
    /// Bytes written that are not paid for yet.
    written: usize,
}

impl Frames {
    pub(in crate::proxy) fn new(now: Moment) -> Self {
        Self {
            preface: PREFACE,
            head: [0; HEAD],
            have: 0,
            left: 0,
            padding_next: false,
            block: None,
            highest: 0,
            allowance: BURST,
            refilled: now,
            written: 0,
        }
    }

    /// Since when the head of a request has been under way.
    pub(in crate::proxy) fn head_since(&self) -> Option<Moment> {
        self.block
    }

    /// The last stream that the client opened.
    pub(in crate::proxy) fn highest(&self) -> u32 {
        self.highest
    }

    /// The client took so many bytes of ours.
    pub(in crate::proxy) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let earned = u32::try_from(self.written / BYTES).unwrap_or(BURST);
        self.written %= BYTES;
        self.allowance = self.allowance.saturating_add(earned).min(BURST);
    }

    /// Follows what the client sent. `now` is asked only where it matters.
    ///
    /// # Errors
    /// Where its allowance is spent.
    pub(in crate::proxy) fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Moment) -> Result<(), Flood> {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.have < HEAD {
                let more = (HEAD - self.have).min(bytes.len());
                self.head[self.have..self.have + more].copy_from_slice(&bytes[..more]);
                self.have += more;
                bytes = &bytes[more..];
                if self.have < HEAD {
                    break;
                }
                self.begin(&now)?;
            }
            if self.padding_next
                && let Some(padding) = bytes.first()
            {
                self.padding_next = false;
                if usize::from(*padding) + 1 >= self.left {
                    self.spend(IDLE, &now)?;
                }
            }
            let more = self.left.min(bytes.len());
            self.left -= more;
            bytes = &bytes[more..];
            if self.left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    /// A head is whole.
    fn begin(&mut self, now: &impl Fn() -> Moment) -> Result<(), Flood> {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let cost = match kind {
            kind::DATA => {
                let last = flags & flag::END_STREAM != 0;
                self.padding_next = flags & flag::PADDED != 0 && self.left > 0 && !last;
                if self.left == 0 && !last { IDLE } else { 0 }
            }
            kind::HEADERS => {
                self.highest = self.highest.max(u32::from_be_bytes(stream) & 0x7fff_ffff);
                self.block = Some(now());
                0
            }
            kind::RST_STREAM => RESET,
            kind::WINDOW_UPDATE => WINDOW,
            _ => IDLE,
        };
        if cost == 0 { Ok(()) } else { self.spend(cost, now) }
    }

    /// A frame is whole.
    fn end(&mut self) {
        self.have = 0;
        self.padding_next = false;
        let [_, _, _, kind, flags, ..] = self.head;
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) && flags & flag::END_HEADERS != 0 {
            self.block = None;
        }
    }

    fn spend(&mut self, cost: u32, now: &impl Fn() -> Moment) -> Result<(), Flood> {
        if self.allowance < cost {
            let now = now();
            let millis = u64::try_from(now.since(self.refilled).as_millis()).unwrap_or(u64::MAX);
            let earned = u32::try_from(millis.saturating_mul(PER_SECOND) / 1000).unwrap_or(BURST);
            self.allowance = self.allowance.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
        self.allowance = self.allowance.checked_sub(cost).ok_or(Flood)?;
        Ok(())
    }
}

/// What h2 refuses without a word to us, seen in the frames that go out.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Refused {
    /// A frame's head, and as much of its payload as may hold a reason.
    seen: [u8; HEAD + 8],
    have: usize,
    /// How much of the payload has not gone out.
    left: usize,
    /// Streams over the limit.
    pub(in crate::proxy) streams: u32,
    /// The connection is ended for a flood.
    pub(in crate::proxy) calmed: bool,
}

impl Refused {
    pub(in crate::proxy) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = if self.have < HEAD { HEAD - self.have } else { self.left };
            let more = wanted.min(bytes.len());
            let kept = more.min(self.seen.len() - self.have);
            self.seen[self.have..self.have + kept].copy_from_slice(&bytes[..kept]);
            bytes = &bytes[more..];
            if self.have < HEAD {
                let [a, b, c, ..] = self.seen;
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.have += more;
                if self.have < HEAD {
                    return;
                }
            } else {
                self.have += kept;
                self.left -= more;
            }
            if self.left == 0 {
                self.end();
            }
        }
    }

    /// A frame is out.
    fn end(&mut self) {
        let reason = |at: usize| {
            let bytes = self.seen[..self.have].get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        match self.seen[3] {
            kind::RST_STREAM if reason(HEAD) == Some(REFUSED_STREAM) => self.streams += 1,
            kind::GOAWAY if reason(HEAD + 4) == Some(ENHANCE_YOUR_CALM) => self.calmed = true,
            _ => {}
        }
        self.have = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn greeted() -> Frames {
        let mut frames = Frames::new(Moment::START);
        frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || Moment::START).unwrap();
        frames
    }

    /// How many of these a client gets away with at once, byte by byte or in one piece.
    fn at_once(bytes: &[u8]) -> u32 {
        let count = |piece: usize| {
            let mut frames = greeted();
            let all = |frames: &mut Frames| {
                bytes.chunks(piece).try_for_each(|part| frames.read(part, || Moment::START))
            };
            (0..).find(|_| all(&mut frames).is_err()).unwrap()
        };
        let whole = count(bytes.len());
        assert_eq!(count(1), whole);
        whole
    }

    #[test]
    fn what_carries_nothing_has_its_price() {
        assert_eq!(at_once(&frame(6, 0, 0, &[0; 8])), BURST / IDLE, "PING");
        assert_eq!(at_once(&frame(4, 0, 0, &[])), BURST / IDLE, "SETTINGS");
        assert_eq!(at_once(&frame(2, 0, 1, &[0; 5])), BURST / IDLE, "PRIORITY");
        assert_eq!(at_once(&frame(0, 0, 1, &[])), BURST / IDLE, "DATA without data");
        assert_eq!(at_once(&frame(0, flag::PADDED, 1, &[3, 0, 0, 0])), BURST / IDLE, "nothing but padding");
        assert_eq!(at_once(&frame(9, 0, 1, b"x")), BURST / IDLE, "CONTINUATION");
        assert_eq!(at_once(&frame(8, 0, 0, &[0, 0, 0, 1])), BURST, "WINDOW_UPDATE");
        let taken_back = [frame(1, 5, 1, b"\x82"), frame(3, 0, 1, &[0, 0, 0, 8])].concat();
        assert_eq!(at_once(&taken_back), BURST / RESET, "RST_STREAM");
    }

    #[test]
    fn what_h2_refuses_is_seen_however_it_is_written() {
        let frames = [
            frame(4, 0, 0, &[0; 36]),
            frame(0, 0, 1, &[7; 300]),
            frame(3, 0, 5, &REFUSED_STREAM.to_be_bytes()),
            frame(3, 0, 7, &[0, 0, 0, 8]),
            frame(0, 1, 1, b""),
            frame(7, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 0]),
            frame(3, 0, 9, &REFUSED_STREAM.to_be_bytes()),
        ]
        .concat();
        let calm = frame(7, 0, 0, &[&[0, 0, 0, 9, 0, 0, 0, 11][..], b"why"].concat());
        for piece in [1, 2, 7, 10, 1000] {
            let mut refused = Refused::default();
            frames.chunks(piece).for_each(|piece| refused.follow(piece));
            assert_eq!((refused.streams, refused.calmed), (2, false), "in pieces of {piece}");
            calm.chunks(piece).for_each(|piece| refused.follow(piece));
            assert_eq!((refused.streams, refused.calmed), (2, true), "in pieces of {piece}");
        }
    }

    #[test]
    fn requests_and_data_are_free() {
        let mut frames = greeted();
        let work = [
            frame(1, 4, 1, b"\x82"),
            frame(0, 0, 1, b"body"),
            frame(0, flag::PADDED, 1, &[1, b'x', 0]),
            frame(0, flag::END_STREAM, 1, b""),
        ]
        .concat();
        for _ in 0..2 * BURST {
            frames.read(&work, || Moment::START).unwrap();
        }
        assert_eq!(frames.allowance, BURST);
    }

    #[test]
    fn time_and_reading_pay() {
        let mut frames = greeted();
        let ping = frame(6, 0, 0, &[0; 8]);
        let second = Moment::START + Duration::from_secs(1);
        while frames.read(&ping, || Moment::START).is_ok() {}
        frames = Frames { have: 0, left: 0, ..frames };
        for _ in 0..PER_SECOND / u64::from(IDLE) {
            frames.read(&ping, || second).unwrap();
        }
        frames.wrote(BYTES - 1);
        assert_eq!(frames.allowance, 0);
        frames.wrote(1);
        assert_eq!(frames.allowance, 1);
        frames.wrote(usize::MAX / 2);
        assert_eq!(frames.allowance, BURST, "and no more than that");
    }

    #[test]
    fn a_head_is_under_way_until_its_block_ends() {
        let mut frames = greeted();
        let at = Moment::START + Duration::from_secs(3);
        let head = frame(1, 0, 7, b"\x82\x86");
        frames.read(&head[..9], || at).unwrap();
        assert_eq!(frames.head_since(), Some(at));
        frames.read(&head[9..], || Moment::START).unwrap();
        assert_eq!(frames.head_since(), Some(at));
        frames.read(&frame(9, 0, 7, b"\x84"), || Moment::START).unwrap();
        assert_eq!(frames.head_since(), Some(at));
        frames.read(&frame(9, flag::END_HEADERS, 7, b"\x84"), || Moment::START).unwrap();
        assert_eq!(frames.head_since(), None);
        assert_eq!(frames.highest(), 7);
    }
}
