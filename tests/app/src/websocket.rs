//! Echo over upgraded connections: WebSocket frames (RFC 6455), or plain bytes.

use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};

/// More in one frame is refused by closing.
const LARGEST: u64 = 16 << 20;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

struct Frame {
    /// FIN and reserved bits with the opcode, as on the wire.
    first: u8,
    payload: Vec<u8>,
}

/// Sends back every message; answers pings and the close.
pub async fn echo_frames(upgrade: OnUpgrade) {
    if let Ok(upgraded) = upgrade.await {
        let _ = frames(TokioIo::new(upgraded)).await;
    }
}

/// Sends back every byte.
pub async fn echo_bytes(upgrade: OnUpgrade) {
    if let Ok(upgraded) = upgrade.await {
        let (mut read, mut write) = split(TokioIo::new(upgraded));
        if copy(&mut read, &mut write).await.is_ok() {
            let _ = write.shutdown().await;
        }
    }
}

async fn frames(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut stream).await?;
        match frame.first & 0x0F {
            CLOSE => {
                write_frame(&mut stream, &frame).await?;
                return stream.shutdown().await;
            }
            PING => write_frame(&mut stream, &Frame { first: 0x80 | PONG, payload: frame.payload }).await?,
            PONG => {}
            // Fragments are echoed as fragments.
            _ => write_frame(&mut stream, &frame).await?,
        }
    }
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    let length = match second & 0x7F {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    if second & 0x80 == 0 || length > LARGEST {
        return Err(io::Error::other("an unmasked or oversized frame"));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Frame { first, payload })
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let mut head = vec![frame.first];
    let length = frame.payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => head.push(short),
        (_, Ok(medium)) => {
            head.push(126);
            head.extend(medium.to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend((length as u64).to_be_bytes());
        }
    }
    stream.write_all(&head).await?;
    stream.write_all(&frame.payload).await?;
    stream.flush().await
}
