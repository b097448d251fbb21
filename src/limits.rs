//! Every bound that a peer can run into, in one place, with its default.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of the one read buffer that all connections share, and so the most that one turn of a connection moves.
pub const SERVICE_BUFFER: usize = 256 * 1024;

/// Bytes that one turn of a connection moves while others wait.
pub const SLICE_WHILE_OTHERS_WAIT: usize = 64 * 1024;

/// Bytes that one turn of a relayed connection moves where the kernel moves them by itself (splice(2)), and so the most that a pipe holds.
pub const SPLICE: usize = 1024 * 1024;

/// The same while other connections wait for their turn.
pub const SPLICE_WHILE_OTHERS_WAIT: usize = 128 * 1024;

/// Bytes that a read has to bring for the next one to be of a stream that moves much.
pub const BULK_READ: usize = 32 * 1024;

/// Turns of those who move much between two looks for fresh events.
pub const BULK_TURNS: usize = 1;

/// Pipes that a context has open at most, of two descriptors each, which connections leave to them; one for every 64 descriptors where that is
/// fewer. Streams beyond them are copied.
pub const PIPES: usize = 16;

/// How long a pipe stays open that nobody needs.
pub const PIPES_SPARE: Duration = Duration::from_secs(1);

/// Events taken from the system in one turn of the loop.
pub const EVENTS: usize = 1024;

/// Connections accepted in one turn of a listen socket.
pub const ACCEPT_BATCH: usize = 64;

/// How long a listen socket rests after the system refused it another descriptor, and while there are as many connections as may be.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection waits after the system had no memory for what it sends or reads (`ENOBUFS`, `ENOMEM`), before it tries again.
pub const MEMORY_PAUSE: Duration = Duration::from_millis(100);

/// Times that it tries again before it counts as lost: ten seconds.
pub const MEMORY_TRIES: u32 = 100;

/// Descriptors that connections leave for files, logs and look-ups, unless `ContextInfo::max_connections` says how many connections there
/// may be. Where there are fewer than eight times as many, an eighth.
pub const DESCRIPTOR_RESERVE: usize = 64;

/// How often at most a warning is given again of what one peer after another may run into, such as a limit of its address, or an onward
/// server that is away; and how long nobody has to have waited at a listen socket before the log says that nobody does any more.
pub const WARN_AGAIN: Duration = Duration::from_secs(1);

/// How long until a missing interface is looked for again.
pub const INTERFACE_RETRY: Duration = Duration::from_secs(1);

/// Roles that a connection can go through without coming back to the poll.
pub const SWAPS: usize = 8;

/// Bytes that a protocol can have queued on a connection beyond what the system took.
pub const TX: usize = 2 * SERVICE_BUFFER;

/// Bytes of a WebSocket message, and of a frame, unless `WsLimits` says otherwise.
pub const WS_MESSAGE: u64 = 64 * 1024 * 1024;

/// Frames of a WebSocket message, unless `WsLimits` says otherwise.
pub const WS_FRAGMENTS: u32 = 128 * 1024;

/// Pings, pongs and closes that a WebSocket peer may send in a second, unless `WsLimits` says otherwise.
pub const WS_CONTROL_FRAMES: u32 = 100;

/// For how long a WebSocket peer that was not listened to, and is heard all at once, may have sent as many pings as
/// [`WS_CONTROL_FRAMES`] a second.
pub const WS_CONTROL_PAUSE: Duration = Duration::from_secs(60);

/// Bytes of a WebSocket message that is collected for a protocol that takes whole ones, unless `WsLimits` says otherwise. It fits into [`TX`], so
/// that what was received whole can be written whole.
pub const WS_COLLECTED: usize = TX / 2;

/// Bytes of answers to a WebSocket peer, and of pongs, that may wait to be sent before no more is read from it.
pub const WS_ANSWERS: usize = SLICE_WHILE_OTHERS_WAIT;

/// How long a WebSocket peer has to answer a close.
pub const WS_CLOSE_WAIT: Duration = Duration::from_secs(5);

/// How long a WebSocket message that has begun may stand still: it holds memory where it is compressed or collected. Looked at this often, so a peer
/// has up to twice as long. Pings do not make it go on; while the protocol receives nothing it may stand.
pub const WS_MESSAGE_STALL: Duration = Duration::from_secs(60);

/// WebSocket messages that are compressed at a time, of some 280 kB each. Beyond it they are sent as they are. Connections that keep their
/// window do not count.
pub const WS_DEFLATING: usize = 256;

/// WebSocket messages that are decompressed at a time, of some 50 kB each: those that have begun and not ended. Beyond it a peer is told to try again
/// later (1013). Connections that keep their window do not count.
pub const WS_INFLATING: usize = 4096;

/// Bytes of a write to a WebSocket that go to the system at once, if it takes them, instead of being copied to wait for the end of the
/// callback.
pub const WS_UNCOPIED: usize = 16 * 1024;

/// Interim answers (100, 103 and their kin) that a WebSocket client takes before the one that counts.
pub const WS_INTERIM: usize = 8;

/// Bytes of a compressed WebSocket message that are decompressed at a time.
pub const WS_INFLATED: usize = 64 * 1024;

/// Bytes of a UDP datagram: 65535 less the headers of UDP and IPv4.
pub const DATAGRAM: usize = 65_507;

/// Datagrams that one turn of a UDP socket takes.
pub const DATAGRAM_BATCH: usize = 32;

/// Errors in a row that the network may have answered to datagrams, before the socket counts as broken.
pub const DATAGRAM_ERRORS: usize = 1024;

/// Plaintext bytes that a TLS connection encrypts before it looks whether the socket takes them.
pub const TLS_SEND: usize = 64 * 1024;

/// Records sent with one key of TLS 1.2, which cannot change it; the connection ends before AES-GCM becomes weak (2^24, less what a
/// handshake may have used). 256 GiB in full records.
pub const TLS12_RECORDS: u64 = (1 << 24) - 1024;

/// Steps of TLS handshakes that are taken in one turn of the loop. The costly ones are a signature and a key exchange.
pub const TLS_HANDSHAKES: usize = 16;

/// Bytes read for the first look at a connection.
pub const FIRST_READ: usize = 16 * 1024;

/// Bytes of a PROXY header of version 1, its end included (section 2.1 of the specification).
pub const PROXY_V1_HEADER: usize = 107;

/// Bytes of a PROXY header of version 2, TLVs included. A client's certificate in them fits; the specification asks for 536.
pub const PROXY_V2_HEADER: usize = 8 * 1024;

/// Empty lines before a request (RFC 9112 section 2.2). More: 400.
pub const HTTP_EMPTY_LINES: usize = 8;

/// Bytes of a request head: empty lines before it, the request line and all headers. Above: 431, or 414 where the request line
/// alone is longer. A context may say otherwise ([`ContextInfo::max_http_header_data`](crate::ContextInfo::max_http_header_data)).
pub const HTTP_HEAD: usize = 16 * 1024;

/// The least that a context can say instead.
pub const HTTP_HEAD_LEAST: usize = 512;

/// The most that a context can say instead.
pub const HTTP_HEAD_MOST: usize = 64 * 1024;

/// Bytes of a request's target: all that a head of [`HTTP_HEAD`] leaves. Above: 414. A context may say otherwise
/// ([`ContextInfo::max_http_uri`](crate::ContextInfo::max_http_uri)).
pub const HTTP_URI: usize = HTTP_HEAD;

/// Headers of one request. Above: 431. A context may say otherwise
/// ([`ContextInfo::max_http_headers`](crate::ContextInfo::max_http_headers)).
pub const HTTP_HEADERS: usize = 100;

/// The most that a context can say instead.
pub const HTTP_HEADERS_MOST: usize = 500;

/// Bytes of a request's body, where neither its mount nor its vhost says otherwise. Above: 413.
pub const HTTP_BODY: u64 = 1024 * 1024;

/// Bytes of a request's body that are read and thrown away where nobody wants it, to find the next request behind it. Above: the connection ends
/// behind the response.
pub const HTTP_UNREAD_BODY: usize = 1024 * 1024;

/// Bytes of a user's name and password in a request, with the colon between them. Above: 401.
pub const BASIC_AUTH: usize = 512;

/// Bytes of a file of certificates or keys. A longer one is an error.
pub const PEM: u64 = 16 * 1024 * 1024;

/// Bytes of a file of users and passwords. A longer one lets nobody in.
pub const CREDENTIALS: u64 = 1024 * 1024;

/// Costs of bcrypt entries in such a file; 16 takes some 4 s. Others let nobody in.
pub const BCRYPT_COST: RangeInclusive<u32> = 4..=16;

/// Bytes of a password that bcrypt looks at. A longer one is not the password of a bcrypt entry: 401.
pub const BCRYPT_PASSWORD: usize = 72;

/// Threads that verify bcrypt entries.
pub const BCRYPT_THREADS: usize = 2;

/// Passwords that wait to be verified, and connections that wait for one of them. Above: 503.
pub const BCRYPT_QUEUE: usize = 256;

/// Verdicts on passwords that are remembered: as many that were right, and as many that were wrong.
pub const BASIC_AUTH_VERDICTS: usize = 1024;

/// How long a request waits for a verdict on its password. Longer: 503.
pub const BASIC_AUTH_WAIT: Duration = Duration::from_secs(30);

/// Bytes of the chunk extensions and trailers of one request body, which are ignored. Above: 400.
pub const HTTP_BODY_OVERHEAD: usize = 16 * 1024;

/// Bytes a second that a client has to keep up, on the whole, with a body that is waited for or with a response that it reads: whoever is slower
/// loses of [`HTTP_BODY_STALL`] or [`HTTP_SEND_STALL`] what is missing, and is cut off when that is used up. Of what it reads its system tells in
/// steps, of which there has to be one in that time, at worst of all that its buffer holds: 128 KiB, Linux's default, ask for some 2 kB a second.
pub const HTTP_LEAST_RATE: u64 = 500;

/// How long a client may send nothing of a body that is waited for.
pub const HTTP_BODY_STALL: Duration = Duration::from_secs(30);

/// Pipelined requests that are answered in one turn of a connection, and whose responses leave together where they are small.
pub const HTTP_PIPELINED: usize = 16;

/// How often at most a vhost looks whether its mounts' paths name other folders now.
pub const MOUNT_CHECK: Duration = Duration::from_secs(1);

/// Bytes of responses that a connection may have sent in all and still be closed at once: they are likely with the peer. Behind more of
/// them it lingers, for input that came too late would make the system throw away what is on its way.
pub const HTTP_CLOSE_AT_ONCE: u64 = 16 * 1024;

/// Bytes of a file that are read and sent at a time.
pub const HTTP_FILE_CHUNK: usize = 128 * 1024;

/// Bytes of a file that the system is asked to send by itself at a time. They are not copied, so that takes no longer than a slice that is.
pub const HTTP_SENDFILE: usize = 256 * 1024;

/// Bytes of a file whose content is kept for the next who asks for it.
pub const FILE_CACHE_FILE: usize = 64 * 1024;

/// Files that are kept so, of all vhosts together.
pub const FILE_CACHE_ENTRIES: usize = 1024;

/// Bytes of them all.
pub const FILE_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// How long a kept file is served without a look at the disk, and so how late a change of it may show.
pub const FILE_CACHE_FRESH: Duration = Duration::from_millis(25);

/// How long ago a file must have changed last to be kept. File systems date changes in ticks, of up to two seconds, and two in one tick
/// look like one.
pub const FILE_CACHE_SETTLED: Duration = Duration::from_secs(2);

/// Ranges of a file that one request can ask for. Above: the whole file.
pub const HTTP_RANGES: usize = 16;

/// Times that opening a file is tried while something renames folders on its path (`EAGAIN` of openat2(2)).
pub const HTTP_OPEN_TRIES: usize = 4;

/// Bytes of a long response that the system holds unsent: so few that it asks for more as often as a slow client reads a little.
pub const HTTP_UNSENT: u32 = 128 * 1024;

/// How long a client may read nothing of its response.
pub const HTTP_SEND_STALL: Duration = Duration::from_secs(60);

/// How often the system is offered more of a response that nobody seems to read: it takes some as soon as the client has read some, and tells of
/// room only when there is much.
pub const HTTP_SEND_LOOK: Duration = Duration::from_secs(10);

/// How long a relayed pair with one direction ended may stay silent in the other, and a response to a client that has ended its side behind its
/// request.
pub const HALF_CLOSE_LINGER: Duration = Duration::from_secs(60);

/// How long a closing connection may take nothing of what is queued for it, and then not hang up; where http has answered, also how long it may
/// send nothing, for who reads an answer only behind its whole request still sends.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long in all, whatever it takes and sends. That is nginx's `lingering_time`.
pub const DRAIN_LONGEST: Duration = Duration::from_secs(30);

/// Bytes that may still come on a closing connection whose peer has no answer of http to read. They bring it no time.
pub const DRAIN_BYTES: usize = 1024 * 1024;

/// Threads that look up host names, and as many that look up the names of addresses.
pub const RESOLVER_THREADS: usize = 4;

/// Host names that wait for the resolver, and as many addresses that wait for their names; also connections that wait for one of them.
pub const RESOLVER_QUEUE: usize = 1024;

/// Bytes of an access log that wait for the disk. Lines beyond them are lost, and counted.
pub const ACCESS_LOG_QUEUE: usize = 4 * 1024 * 1024;

/// Bytes of one field of an access log's line, escapes included; a longer one is cut, and ends in `...`.
pub const ACCESS_LOG_FIELD: usize = 2048;

/// Bytes of a buffer of an access log that is kept to be filled again.
pub const ACCESS_LOG_SPARE: usize = 256 * 1024;

/// How often at most a warning says that an access log has lost lines.
pub const ACCESS_LOG_WARN: Duration = Duration::from_secs(1);

/// How long a context that is dropped waits for its access logs to be written.
pub const ACCESS_LOG_FLUSH: Duration = Duration::from_secs(5);

/// What a wait counts as that is too long to be told from one without end: ten years.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a TCP connection may be silent before the kernel asks whether the peer is still there.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// How old a connection of our own is when the kernel is asked to do so; what it accepts does so from the first moment.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(1);

/// Connections for which it is asked in one turn of the loop.
pub const KEEPALIVE_BATCH: usize = 64;

/// How long the kernel waits between such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Unanswered questions after which it gives the connection up.
pub const KEEPALIVE_PROBES: u32 = 6;
