//! Servers that echo WebSocket messages, made with the crates that rlws is measured beside: one thread, tokio's `current_thread`.
//!
//! `ws-peers tungstenite PORT` and `ws-peers fastwebsockets PORT` listen on 127.0.0.1 until they are killed; without a port
//! they say which versions they are made with.

use std::error::Error;
use std::io;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// As the others listen.
const BACKLOG: u32 = 4096;
const LONGEST_HEAD: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name] = args.as_slice() {
        let versions: Vec<String> =
            CRATES.into_iter().filter(|known| known.contains(name)).filter_map(version).collect();
        println!("{}, {}", versions.join(", "), version("tokio").unwrap_or_default());
        return Ok(());
    }
    let [crate_name, port] = args.as_slice() else {
        return Err("usage: ws-peers tungstenite|fastwebsockets PORT".into());
    };
    let is_tungstenite = match crate_name.as_str() {
        "tungstenite" => true,
        "fastwebsockets" => false,
        other => return Err(format!("{other} is neither tungstenite nor fastwebsockets").into()),
    };
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port.parse()?).into())?;
    let listener = socket.listen(BACKLOG)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let ended = if is_tungstenite { tungstenite(stream).await } else { fast(stream).await };
            if let Err(error) = ended {
                eprintln!("{error}");
            }
        });
    }
}

const CRATES: [&str; 2] = ["tokio-tungstenite", "fastwebsockets"];

/// A crate's name, and its version as it was built in.
fn version(name: &str) -> Option<String> {
    let (_, behind) = include_str!("../Cargo.lock").split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(format!("{name} {}", behind.split_once('"')?.0))
}

/// As the crate's own example of an echo server.
async fn tungstenite(stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// As the crate's own example of an echo server, but that the handshake is done here, and not by hyper.
async fn fast(mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    let key = read_key(&mut stream).await?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).await?;
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// Reads the request of a client that waits for the answer before it says more.
async fn read_key(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > LONGEST_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let key = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")));
    key.map(|(_, key)| key.to_owned()).ok_or(io::ErrorKind::InvalidData.into())
}
