//! What is measured: the rows of the table. A new group of rows needs its contenders' [`Task`](crate::contenders::Task), and a load.

use crate::load::streams::Direction;

/// What servers are compared at.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Group {
    Relay,
    Http,
    /// Echoes of WebSocket messages.
    Ws,
}

/// A load, and the one figure that servers are compared by in it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// In words.
    pub(crate) what: &'static str,
    pub(crate) figure: Figure,
    pub(crate) load: Load,
    /// Connections that are held beside it, silent since their first exchange.
    pub(crate) silent: usize,
}

/// What is compared; less is better.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Figure {
    /// CPU time of the server: ms per Gbit.
    PerGbit,
    /// CPU time of the server: µs per exchange, connection or request.
    PerUnit(&'static str),
    /// Of an exchange: ms.
    P99,
    /// Of the server: kB (1,000 bytes) per connection.
    Memory,
}

/// What works the server.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Load {
    /// Exchanges over connections that stay: 64 bytes through a relay, `small.html` from an http server.
    Exchanges {
        connections: usize,
    },
    /// Connections of one exchange each, so many at a time.
    Connections {
        at_a_time: usize,
    },
    Streams {
        connections: usize,
        direction: Direction,
    },
    /// One exchange at a time, beside so many streams.
    ExchangesBeside {
        streams: usize,
    },
    /// None: how much memory the silent ones take.
    Nothing {
        tls: bool,
    },
    /// WebSocket messages of so many bytes, and their echoes, over connections that stay.
    Sockets {
        connections: usize,
        size: usize,
    },
    /// None: how much memory silent WebSockets take.
    SilentSockets {
        tls: bool,
        deflate: Deflate,
    },
    Wrk {
        tls: bool,
        path: &'static str,
        connections: usize,
        close: bool,
    },
}

/// What is agreed on of a WebSocket's compression.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Deflate {
    No,
    /// As servers have it by themselves.
    Default,
    /// Both windows are kept from one message to the next.
    Kept,
}

pub(crate) const SMALL: &str = "small.html";
const BIG: &str = "big.bin";
/// Connections that work, where others are silent.
const WORKERS: usize = 64;
const SILENT_SOCKETS: usize = 8_000;

impl Figure {
    pub(crate) fn unit(self) -> String {
        match self {
            Figure::PerGbit => "ms/Gbit".to_owned(),
            Figure::PerUnit(unit) => format!("µs/{unit}"),
            Figure::P99 => "ms".to_owned(),
            Figure::Memory => "kB/connection".to_owned(),
        }
    }
}

impl Row {
    /// Whether it is a point of the chart, and no row of the table.
    pub(crate) fn is_point(&self) -> bool {
        GROWTH.iter().any(|silent| growth_row(self.group, *silent).is_some_and(|row| row.name == self.name))
    }

    /// Whether there is a floor of it. A floor holds nothing for a connection, so its memory is no yardstick; that of http has one small file.
    pub(crate) fn has_floor(&self) -> bool {
        match self.load {
            Load::Wrk { tls, path, .. } => !tls && path == SMALL,
            _ => self.figure != Figure::Memory,
        }
    }

    pub(crate) fn needs_wrk(&self) -> bool {
        matches!(self.load, Load::Wrk { .. })
    }
}

fn socket_rows() -> impl Iterator<Item = Row> {
    let ws = |name, what, figure, load, silent| Row { name, group: Group::Ws, what, figure, load, silent };
    let works = move |name, what, connections, size| {
        ws(name, what, Figure::PerUnit("message"), Load::Sockets { connections, size }, 0)
    };
    let idle = move |name, what, tls, deflate| {
        ws(name, what, Figure::Memory, Load::SilentSockets { tls, deflate }, SILENT_SOCKETS)
    };
    [
        works("ws1-64", "64 bytes there and back, 1 connection", 1, 64),
        works("ws1-1k", "1 KiB, 1 connection", 1, 1024),
        works("ws1-64k", "64 KiB, 1 connection", 1, 64 * 1024),
        works("ws64-64", "64 bytes, 64 connections", WORKERS, 64),
        works("ws64-1k", "1 KiB, 64 connections", WORKERS, 1024),
        works("ws64-64k", "64 KiB, 64 connections", WORKERS, 64 * 1024),
        idle("ws-idle", "memory of one of 8,000 that have echoed a message and are silent", false, Deflate::No),
        idle("ws-idle-pmd", "the same, where the client offers compression", false, Deflate::Default),
        idle("ws-idle-kept", "the same, where windows are kept", false, Deflate::Kept),
        idle("wss-idle", "the same over TLS, without compression", true, Deflate::No),
        idle("wss-idle-pmd", "the same over TLS, where the client offers it", true, Deflate::Default),
        idle("wss-idle-kept", "the same over TLS, where windows are kept", true, Deflate::Kept),
    ]
    .into_iter()
}

/// How many connections are silent at the points of the chart.
pub(crate) const GROWTH: [usize; 3] = [100, 1_000, 8_000];

/// The row of a chart's point.
pub(crate) fn growth_row(group: Group, silent: usize) -> Option<Row> {
    let figure = Figure::PerUnit(if group == Group::Relay { "exchange" } else { "request" });
    let load = Load::Exchanges { connections: WORKERS };
    let name = match (group, silent) {
        (Group::Relay, 100) => "relay-100",
        (Group::Relay, 1_000) => "relay-1000",
        (Group::Relay, 8_000) => "relay-8000",
        (Group::Http, 100) => "http-100",
        (Group::Http, 1_000) => "http-1000",
        (Group::Http, 8_000) => "http-8000",
        _ => return None,
    };
    Some(Row {
        name,
        group,
        what: "a point of the chart: 64 connections that work beside silent ones",
        figure,
        load,
        silent,
    })
}

/// All rows, in the order of the page.
pub(crate) fn rows() -> Vec<Row> {
    let relay = |name, what, figure, load| Row { name, group: Group::Relay, what, figure, load, silent: 0 };
    let http =
        |name, what, load| Row { name, group: Group::Http, what, figure: Figure::PerUnit("request"), load, silent: 0 };
    let wrk = |tls, path, connections, close| Load::Wrk { tls, path, connections, close };
    let (per_gbit, per_exchange, memory) = (Figure::PerGbit, Figure::PerUnit("exchange"), Figure::Memory);
    let mut rows = vec![
        relay("bulk1", "1 stream to the backend", per_gbit, Load::Streams { connections: 1, direction: Direction::Up }),
        relay(
            "bulk16",
            "16 streams to the backend",
            per_gbit,
            Load::Streams { connections: 16, direction: Direction::Up },
        ),
        relay(
            "download1",
            "1 stream from the backend",
            per_gbit,
            Load::Streams { connections: 1, direction: Direction::Down },
        ),
        relay("ping1", "64 bytes there and back, 1 connection", per_exchange, Load::Exchanges { connections: 1 }),
        relay("ping64", "the same, 64 connections", per_exchange, Load::Exchanges { connections: WORKERS }),
        relay(
            "connrate",
            "connect, 64 bytes there and back, close; 32 at a time",
            Figure::PerUnit("connection"),
            Load::Connections { at_a_time: 32 },
        ),
        relay(
            "mixed",
            "1 connection as in ping1 beside 16 streams: its 99th percentile",
            Figure::P99,
            Load::ExchangesBeside { streams: 16 },
        ),
        Row {
            silent: 3_500,
            ..relay(
                "crowd",
                "ping64 beside 3,500 silent connections",
                per_exchange,
                Load::Exchanges { connections: WORKERS },
            )
        },
        Row {
            silent: 3_500,
            ..relay("idle", "memory of a silent connection and its other half", memory, Load::Nothing { tls: false })
        },
        http("keepalive", "1 KiB file, 64 connections that stay", wrk(false, SMALL, WORKERS, false)),
        http("close", "1 KiB file, a connection each, 64 at a time", wrk(false, SMALL, WORKERS, true)),
        http("big", "10 MiB file, 8 connections", wrk(false, BIG, 8, false)),
        http("tls-keepalive", "1 KiB file over TLS, 64 connections that stay", wrk(true, SMALL, WORKERS, false)),
        http("tls-close", "a full handshake and a 1 KiB file, 32 at a time", wrk(true, SMALL, 32, true)),
        http("tls-big", "10 MiB file over TLS, 8 connections", wrk(true, BIG, 8, false)),
        Row {
            figure: memory,
            silent: 2_000,
            ..http("http-idle", "memory of a silent connection that was served", Load::Nothing { tls: false })
        },
        Row { figure: memory, silent: 2_000, ..http("tls-idle", "the same over TLS", Load::Nothing { tls: true }) },
    ];
    rows.extend(socket_rows());
    rows.extend(GROWTH.iter().filter_map(|silent| growth_row(Group::Relay, *silent)));
    rows.extend(GROWTH.iter().filter_map(|silent| growth_row(Group::Http, *silent)));
    rows
}
