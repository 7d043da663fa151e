//! The one program in the images of the engine's tests: static, so that an image needs nothing else.
//!
//! `sleeper [print=LINE|warn=LINE|exit=CODE]...` does what it is told, in order, then listens on
//! port 8080, answers everything with 204, until it is killed. As process 1 it takes no notice of SIGTERM, as the kernel gives
//! process 1 no default for it; behind an init it ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;

fn main() {
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("print", line)) => println!("{line}"),
            Some(("warn", line)) => eprintln!("{line}"),
            Some(("exit", code)) => exit(code.parse().expect("a code")),
            _ => panic!("what is {argument}?"),
        }
    }
    let listener = TcpListener::bind("[::]:8080").or_else(|_| TcpListener::bind("0.0.0.0:8080"));
    for connection in listener.expect("a free port").incoming().flatten() {
        answer(connection);
    }
}

fn answer(mut connection: TcpStream) {
    let _ = connection.read(&mut [0; 1024]);
    let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
}
