//! A message there and its answer back, over and over, on some connections at a time.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::{Event, EventFlags};

use super::{Done, Load, TICK};
use crate::floor::open;
use crate::poll::Poll;

/// What is exchanged.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    /// Bytes of the answer.
    pub(crate) reply: usize,
    /// The client closes after each, and connects again.
    pub(crate) is_last: bool,
}

/// Connections that exchange, each without a pause.
pub(crate) struct Exchanges {
    port: u16,
    exchange: Exchange,
    poll: Poll,
    clients: Vec<Client>,
    buf: Vec<u8>,
    took: Vec<u32>,
}

struct Client {
    stream: TcpStream,
    since: Instant,
    sent: usize,
    got: usize,
    waits_to_send: bool,
}

/// Failures after which a server is given up.
const FAILURES: u64 = 10_000;

impl Exchanges {
    /// # Errors
    /// Where the system has no socket or no port left.
    pub(crate) fn open(port: u16, connections: usize, exchange: Exchange) -> std::result::Result<Exchanges, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let clients = (0..connections).map(|number| Client::connect(&poll, port, number)).collect::<Result<_>>();
        let clients = clients.map_err(|error| format!("connect: {error}"))?;
        let buf = vec![0; exchange.reply];
        Ok(Exchanges { port, exchange, poll, clients, buf, took: Vec::new() })
    }

    /// One event of one client: whether an exchange is over.
    fn turn(&mut self, event: Event) -> Result<bool> {
        let number = event.data.u64() as usize;
        let client = &mut self.clients[number];
        if client.waits_to_send {
            client.send(&self.poll, number, &self.exchange.request)?;
            return Ok(false);
        }
        match client.stream.read(&mut self.buf[client.got..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            count => client.got += count?,
        }
        if client.got < self.exchange.reply {
            return Ok(false);
        }
        self.took.push(client.since.elapsed().as_nanos().try_into().unwrap_or(u32::MAX));
        if self.exchange.is_last {
            self.clients[number] = Client::connect(&self.poll, self.port, number)?;
        } else {
            (client.sent, client.got, client.since) = (0, 0, Instant::now());
            client.send(&self.poll, number, &self.exchange.request)?;
        }
        Ok(true)
    }
}

impl Load for Exchanges {
    fn work(&mut self, time: Duration) -> std::result::Result<Done, String> {
        let start = Instant::now();
        let mut events = Vec::with_capacity(1024);
        let (mut done, mut failed) = (0_u64, 0);
        self.took.clear();
        while start.elapsed() < time {
            self.poll.wait(&mut events, Some(TICK)).map_err(|error| error.to_string())?;
            for event in events.drain(..) {
                match self.turn(event) {
                    Ok(is_over) => done += u64::from(is_over),
                    Err(error) => {
                        failed += 1;
                        let number = event.data.u64() as usize;
                        let again = Client::connect(&self.poll, self.port, number);
                        self.clients[number] = again.map_err(|error| format!("connect: {error}"))?;
                        if failed == FAILURES {
                            return Err(format!("{failed} exchanges failed, the last: {error}"));
                        }
                    }
                }
            }
        }
        self.took.sort_unstable();
        let p99 = self.took.get(self.took.len() * 99 / 100).map(|nanoseconds| f64::from(*nanoseconds) / 1e3);
        Ok(Done { seconds: start.elapsed().as_secs_f64(), units: done as f64, failed, p99 })
    }
}

impl Client {
    fn connect(poll: &Poll, port: u16, number: usize) -> Result<Client> {
        let since = Instant::now();
        let stream = open(port)?;
        poll.add(&stream, number, EventFlags::OUT)?;
        Ok(Client { stream, since, sent: 0, got: 0, waits_to_send: true })
    }

    fn send(&mut self, poll: &Poll, number: usize, request: &[u8]) -> Result<()> {
        match self.stream.write(&request[self.sent..]) {
            Ok(0) => return Err(Error::from(ErrorKind::WriteZero)),
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let waits = self.sent < request.len();
        if waits != self.waits_to_send {
            self.waits_to_send = waits;
            poll.change(&self.stream, number, if waits { EventFlags::OUT } else { EventFlags::IN })?;
        }
        Ok(())
    }
}
