//! An application at its worst: it speaks no HTTP, is silent, breaks off, and now and then is right.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Serves on a free port of the loopback interface, for as long as the process lives; says which.
pub fn serve() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone is nobody's loss.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    match head.split(' ').nth(1).unwrap_or_default() {
        "/garbage" => stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n"),
        "/lengths" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
        }
        "/fields" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            (0..20_000).try_for_each(|number| write!(stream, "X-{number}: {}\r\n", "x".repeat(100)))
        }
        "/interim" => (0..5000).try_for_each(|_| stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
        "/nothing" => Ok(()),
        "/cut" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        "/chunks" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n")
        }
        "/silent" => {
            // Until the other side gives up.
            stream.read_exact(&mut byte)
        }
        _ => stream.write_all(b"HTTP/1.1 200 OK\r\nX-Instance: rough\r\nContent-Length: 5\r\n\r\nfine\n"),
    }
}
