//! User protocols in role raw-proxy: they choose where to, and may look at what passes.

mod util;

use rlws::{
    Call, InitError, Interests, Listen, Options, Protocol, ProtocolTable, Pvo, Reason, Target, Verdict, VhostCall,
    VhostInfo,
};
use util::*;

fn relay_by(protocol: &str, table: ProtocolTable, pvo: Pvo) -> Server {
    let protocol = protocol.to_owned();
    Server::with_vhost(move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![table],
        pvo,
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some(protocol),
        ..Default::default()
    })
}

#[test]
fn the_callbacks_of_both_sides_come_in_their_order() {
    let onward = Onward::echo();
    let pvo = options("recorder", &[("onward", &onward.target())]);
    let server = relay_by("recorder", Recorder::<0>::table(), pvo);
    let mut client = connect(server.made);
    let bytes = random_bytes(1, 1_000_000);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes);
    drop((client, sender));
    server.assert_nothing_left();

    let events = server.events();
    let side = |what: What| events.iter().find(|event| event.what == what).expect("it was called").wsi;
    let (srv, cli) = (side(What::SrvBind), side(What::CliBind));
    assert_ne!(srv, cli);
    let order = recorder::order(&events, srv);
    assert_eq!(order, [What::SrvBind, What::SrvAdopt, What::SrvRx, What::SrvClose, What::SrvDrop]);
    let order = recorder::order(&events, cli);
    assert_eq!(order, [What::CliBind, What::CliAdopt, What::CliRx, What::CliClose, What::CliDrop]);
    assert_same_bytes(&recorder::bytes(&events, What::SrvRx), &bytes);
    assert_same_bytes(&recorder::bytes(&events, What::CliRx), &bytes);
    assert!(events.iter().all(|event| event.role == "raw-proxy"), "a role that is not raw-proxy");
}

#[test]
fn a_protocol_that_never_asks_for_an_onward_connection_gets_its_client_closed_and_a_log_line() {
    let server = relay_by("recorder", Recorder::<0>::table(), Pvo::default());
    let mut client = connect(server.made);
    send(&mut client, b"hello?");
    assert_eq!(read_until_closed(&mut client).0, b"");
    server.wait_for_log(&["recorder", "onward"]);
    drop(client);
    server.assert_nothing_left();
}

/// Replaces what passes onward by its upper case; "?" is swallowed, "!" ends the connection.
struct Censor;

impl Protocol for Censor {
    const NAME: &'static str = "censor";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    const INTERESTS: Interests = Interests::RAW_PROXY_SRV_RX;
    type Session = ();
    type Vhost = Target;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Target, InitError> {
        Ok(pvo.get("onward").ok_or("needs `onward`")?.parse()?)
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawProxySrvAdopt => call.wsi.connect_onward(call.vhd.clone()),
            Reason::RawProxySrvRx(bytes) if bytes.contains(&b'!') => return Verdict::Close,
            Reason::RawProxySrvRx(bytes) if bytes.contains(&b'?') => return Verdict::Replace(Vec::new()),
            Reason::RawProxySrvRx(bytes) => return Verdict::Replace(bytes.to_ascii_uppercase()),
            Reason::RawProxyCliRx(_) => panic!("not asked for"),
            _ => {}
        }
        Verdict::Continue
    }
}

#[test]
fn a_protocol_can_replace_drop_and_end_what_passes() {
    let onward = Onward::echo();
    let pvo = options("censor", &[("onward", &onward.target())]);
    let server = relay_by("censor", ProtocolTable::of::<Censor>(), pvo);
    let mut client = connect(server.made);
    send(&mut client, b"quiet words");
    assert_eq!(read_exactly(&mut client, 11), b"QUIET WORDS");
    send(&mut client, b"dropped?");
    server.turn();
    send(&mut client, b"kept");
    assert_eq!(read_exactly(&mut client, 4), b"KEPT");
    send(&mut client, b"stop!");
    assert_eq!(read_until_closed(&mut client).0, b"");
    let seen = onward.connection(0);
    eventually("the onward connection is closed", || seen.closed());
    server.assert_nothing_left_beside(1);
}

#[test]
fn megabytes_replaced_by_a_protocol_arrive_whole() {
    let onward = Onward::echo();
    let pvo = options("censor", &[("onward", &onward.target())]);
    let server = relay_by("censor", ProtocolTable::of::<Censor>(), pvo);
    let bytes = vec![b'a'; 8_000_000];
    let mut client = connect(server.made);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes.to_ascii_uppercase());
}
