//! The examples of WebSocket servers, used as their READMEs say, with tungstenite as the client.

mod util;

use std::net::TcpStream;

use tungstenite::{Message, WebSocket};
use util::*;

const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

fn start(name: &str, switches: &[&str]) -> Program {
    Program::start(name, &[&LOCAL, switches].concat())
}

type Client = WebSocket<TcpStream>;

/// The next text.
#[track_caller]
fn text(client: &mut Client) -> String {
    match client.read().expect("it says something") {
        Message::Text(text) => text.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

/// The code of a close, which is the next that comes.
#[track_caller]
fn close_code(client: &mut Client) -> u16 {
    match client.read().expect("it says something") {
        Message::Close(Some(close)) => close.code.into(),
        other => panic!("no close: {other:?}"),
    }
}

// -- minimal-ws-server

#[test]
fn what_one_says_all_hear_in_the_same_order() {
    let program = start("minimal-ws-server", &[]);
    let fds = program.fds();
    let mut clients: Vec<Client> = (0..20).map(|_| ws::client(program.port(), "lws-minimal")).collect();
    for client in &mut clients {
        for line in 0..20 {
            client.write(Message::text(format!("line {line}"))).expect("queued");
        }
        client.flush().expect("it reads");
    }
    let heard: Vec<Vec<String>> = clients.iter_mut().map(|client| (0..400).map(|_| text(client)).collect()).collect();
    assert!(heard.iter().all(|lines| *lines == heard[0]), "not all have heard the same");
    for line in 0..20 {
        let wanted = format!("line {line}");
        assert_eq!(heard[0].iter().filter(|heard| **heard == wanted).count(), 20);
    }
    drop(clients);
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn the_chat_takes_text_of_some_length() {
    let program = start("minimal-ws-server", &[]);
    for (message, code) in [(Message::binary(vec![0]), 1003), (Message::text("x".repeat(4097)), 1009)] {
        let mut client = ws::client(program.port(), "lws-minimal");
        client.send(message).expect("it reads");
        assert_eq!(close_code(&mut client), code);
    }
    let mut client = ws::client(program.port(), "lws-minimal");
    let longest = "x".repeat(4096);
    client.send(Message::text(longest.clone())).expect("it reads");
    assert_eq!(text(&mut client), longest);
    program.stop();
}

#[test]
fn the_chat_is_strict_with_names_if_it_is_told_so() {
    for (switches, status) in [(&[][..], 101), (&["-h"], 403)] {
        let program = start("minimal-ws-server", switches);
        let asked = ws::request("/", "").replace("Host: localhost", "Host: elsewhere");
        let mut stream = connect(program.port());
        send(&mut stream, asked.as_bytes());
        assert_eq!(http::read_head(&mut stream).status, status);
        program.stop();
    }
}

#[test]
fn the_page_may_run_its_own_scripts_alone() {
    let program = start("minimal-ws-server", &[]);
    let page = http::get(program.port(), "localhost", "/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(page.text().contains("<script src=\"chat.js\" defer></script>"), "{}", page.text());
    assert_eq!(http::get(program.port(), "localhost", "/chat.js").status, 200);
    program.stop();
}

// -- minimal-ws-server-ring

#[test]
fn who_does_not_read_is_culled_and_the_others_lose_nothing() {
    let program = start("minimal-ws-server-ring", &[]);
    let fds = program.fds();
    let [mut speaker, mut listener, _deaf] = [(); 3].map(|()| ws::client(program.port(), "lws-minimal"));
    let is_culled = || program.log().contains("lags: culled");
    // The system holds some megabytes for the one that does not read.
    let mut sent = 0;
    while !is_culled() {
        let message = Message::binary(random_bytes(sent, rlws::limits::WS_COLLECTED));
        speaker.send(message.clone()).expect("it reads");
        for client in [&mut speaker, &mut listener] {
            assert!(client.read().expect("a message") == message, "message {sent}");
        }
        sent += 1;
        assert!(sent < 1000, "nobody is culled");
    }
    for message in [Message::text("still here"), Message::text("")] {
        speaker.send(message.clone()).expect("it reads");
        assert_eq!(listener.read().expect("a message"), message);
    }
    drop((speaker, listener));
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn a_burst_culls_nobody() {
    let program = start("minimal-ws-server-ring", &["--backlog", "2"]);
    let [mut speaker, mut listener] = [(); 2].map(|()| ws::client(program.port(), "lws-minimal"));
    let lines: Vec<String> = (0..1000).map(|line| format!("line {line}")).collect();
    for line in &lines {
        speaker.write(Message::text(line.clone())).expect("queued");
    }
    speaker.flush().expect("it reads");
    for client in [&mut listener, &mut speaker] {
        assert!(lines.iter().all(|line| text(client) == *line));
    }
    program.stop();
}

// -- minimal-ws-server-pmd-bulk

#[test]
fn a_bulk_message_comes_in_pieces_and_goes_back() {
    for (switches, pieces, compresses) in [
        (&["-n"][..], 131, false),
        (&["-n", "-b"], 1, false),
        (&["-n", "-c"], 131, false),
        (&["-c"], 131, true),
        (&["-b"], 1, true),
    ] {
        let program = start("minimal-ws-server-pmd-bulk", switches);
        let mut stream = ws::open(program.port(), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        let (mut frames, mut bytes) = (0, 0);
        loop {
            let frame = ws::read_frame(&mut stream);
            assert_eq!(frame.first & ws::RSV1 != 0, compresses && frames == 0, "{switches:?}");
            (frames, bytes) = (frames + 1, bytes + frame.payload.len());
            if frame.first & ws::FIN != 0 {
                break;
            }
        }
        assert_eq!(frames, pieces, "{switches:?}");
        assert_eq!(bytes < 10_000, compresses && switches.contains(&"-c"), "{switches:?}: {bytes} bytes");
        program.stop();
    }
}

#[test]
fn what_goes_back_is_compared() {
    let program = start("minimal-ws-server-pmd-bulk", &[]);
    let mut client = ws::client(program.port(), "lws-minimal-pmd-bulk");
    let message = client.read().expect("a message");
    assert_eq!(message.len(), 133_700);
    for _ in 0..2 {
        client.send(message.clone()).expect("it reads");
        program.wait_for_log("received 133700");
    }
    let mut wrong = message.into_data().to_vec();
    wrong[70_000] ^= 1;
    client.send(Message::binary(wrong)).expect("it reads");
    assert_eq!(close_code(&mut client), 1008);
    let mut longer = ws::client(program.port(), "lws-minimal-pmd-bulk");
    let message = longer.read().expect("a message").into_data();
    longer.send(Message::binary([&message[..], b"x"].concat())).expect("it reads");
    assert_eq!(close_code(&mut longer), 1008);
    program.stop();
}

// -- minimal-ws-server-timer

#[test]
fn each_connection_has_a_timer_of_its_own() {
    let program = start("minimal-ws-server-timer", &["--every", "10"]);
    let mut one = ws::client(program.port(), "timer");
    for count in 1..=20 {
        assert_eq!(text(&mut one), count.to_string());
    }
    let mut two = ws::client(program.port(), "timer");
    assert_eq!(text(&mut two), "1");
    assert_eq!(text(&mut one), "21");
    program.stop();
}

#[test]
fn who_says_nothing_for_too_long_is_closed() {
    let program = start("minimal-ws-server-timer", &["--every", "50", "--timeout", "1000"]);
    let [mut silent, mut lively] = [(); 2].map(|()| ws::client(program.port(), "timer"));
    // The lively one speaks as long as the silent one is there.
    while silent.read().is_ok() {
        lively.send(Message::text("here")).expect("it reads");
        text(&mut lively);
    }
    lively.send(Message::text("here")).expect("it is still open");
    text(&mut lively);
    program.stop();
}

// -- minimal-ws-server-threads

#[test]
fn the_lines_of_all_threads_come_to_all_in_their_order() {
    let program = start("minimal-ws-server-threads", &["--threads", "3", "--every", "1"]);
    let clients = [(); 3].map(|()| ws::client(program.port(), "lws-minimal"));
    for mut client in clients {
        let mut last = [None; 3];
        for _ in 0..300 {
            let line = text(&mut client);
            let words: Vec<&str> = line.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).collect();
            let [thread, count] = words[..] else { panic!("{line}") };
            let thread = thread.parse::<usize>().expect("a number") - 1;
            let count: u64 = count.parse().expect("a number");
            assert!(last[thread].is_none_or(|last| count == last + 1), "{line} behind {last:?}");
            last[thread] = Some(count);
        }
        assert!(last.iter().all(Option::is_some), "{last:?}");
    }
    program.stop();
}

// -- minimal-ws-raw-proxy

/// A client of the example that is not a browser.
fn proxied(target: &str) -> (Program, Client) {
    let program = start("minimal-ws-raw-proxy", &["-r", target]);
    let client = ws::client(program.port(), "lws-ws-raw-ws");
    (program, client)
}

/// What comes until there are so many bytes.
#[track_caller]
fn bytes(client: &mut Client, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        got.extend(client.read().expect("more of it").into_data());
    }
    got
}

#[test]
fn a_websocket_reaches_a_real_ssh_server() {
    let sshd = Sshd::start();
    let (program, mut client) = proxied(&format!("ipv4:127.0.0.1:{}", sshd.port));
    assert!(bytes(&mut client, 20).starts_with(b"SSH-2.0-OpenSSH"));
    client.send(Message::text("no ssh client says that\r\n")).expect("it reads");
    let end = loop {
        match client.read().expect("more of it") {
            Message::Close(Some(close)) => break close.code,
            said => assert!(said.is_binary(), "{said:?}"),
        }
    };
    assert_eq!(u16::from(end), 1000, "the server has ended it in order");
    program.stop();
}

#[test]
fn megabytes_go_both_ways_and_the_memory_does_not_grow() {
    let onward = Onward::echo();
    let (program, mut client) = proxied(&onward.target());
    let before = program.rss();
    let sent = random_bytes(3, 20_000_000);
    let mut writer = client.get_ref().try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in sent.chunks(1_000_000) {
                send(&mut writer, &ws::frame(ws::FIN | ws::BINARY, part));
            }
        });
        bytes(&mut client, sent.len())
    });
    assert_same_bytes(&got, &sent);
    assert!(program.rss() < before + 8_000_000, "it holds what is on its way");
    program.stop();
}

#[test]
fn who_does_not_read_stops_the_server() {
    let onward = Onward::spring();
    let (program, _client) = proxied(&onward.target());
    let seen = onward.connection(0);
    let taken = settled(|| seen.sent());
    assert!(taken > 0 && taken < 32_000_000, "{taken} bytes were taken for nobody");
    assert!(program.rss() < 64_000_000);
    program.stop();
}

#[test]
fn the_end_of_the_server_is_that_of_the_websocket() {
    let said = random_bytes(4, 3_000_000);
    let onward = Onward::source(said.clone());
    let (program, mut client) = proxied(&onward.target());
    assert_same_bytes(&bytes(&mut client, said.len()), &said);
    assert_eq!(close_code(&mut client), 1000);
    program.stop();
}

#[test]
fn the_last_words_of_a_websocket_reach_the_server() {
    let onward = Onward::recorder();
    let (program, mut client) = proxied(&onward.target());
    let said = random_bytes(5, 3_000_000);
    client.write(Message::binary(said.clone())).expect("queued");
    client.close(None).expect("it reads");
    let seen = onward.connection(0);
    eventually("the server is told of the end", || seen.closed());
    assert_same_bytes(&seen.bytes(), &said);
    program.stop();
}

#[test]
fn a_server_that_is_away_is_told_to_the_browser() {
    let refusing = Refusing::new();
    let (program, mut client) = proxied(&refusing.target());
    let Message::Close(Some(close)) = client.read().expect("a close") else { panic!("no close") };
    assert_eq!(u16::from(close.code), 1011);
    assert_eq!(close.reason.as_str(), "the server cannot be reached");
    program.wait_for_log("refused");
    program.stop();
}

#[test]
fn a_server_that_is_lost_is_not_taken_for_one_that_is_done() {
    let onward = Onward::serve(|stream, _| {
        send(stream, b"half of");
        // Until the browser has that.
        read_exactly(stream, 1);
        reset(stream.try_clone().expect("dup"));
    });
    let (program, mut client) = proxied(&onward.target());
    assert_eq!(bytes(&mut client, 7), b"half of");
    client.send(Message::text("x")).expect("it reads");
    assert_eq!(close_code(&mut client), 1011);
    program.stop();
}

#[test]
fn pages_of_others_do_not_reach_the_server() {
    let onward = Onward::echo();
    let program = start("minimal-ws-raw-proxy", &["-r", &onward.target()]);
    for (origin, status) in [
        ("", 101),
        ("Origin: http://localhost\r\n", 101),
        ("Origin: https://localhost\r\n", 101),
        ("Origin: http://elsewhere.test\r\n", 403),
        ("Origin: http://localhost.elsewhere.test\r\n", 403),
        ("Origin: null\r\n", 403),
    ] {
        let mut stream = connect(program.port());
        send(&mut stream, ws::request("/", origin).as_bytes());
        assert_eq!(http::read_head(&mut stream).status, status, "{origin}");
    }
    program.stop();
}
