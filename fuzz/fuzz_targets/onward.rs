//! Any bytes as a relay's options, the first line as its `onward`, the others as `NAME=VALUE`: a vhost is made, or there is an error that
//! names it; and a target that is taken reads the same when it is written again. Options that name files are left out.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use rlws::protocols::RawProxy;
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, Pvo, Target, VhostInfo};

thread_local! {
    static CONTEXT: RefCell<Context> = RefCell::new(Context::new(ContextInfo::default()).expect("a context"));
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut options = text.split('\n');
    let onward = options.next().unwrap_or_default();
    let target = onward.parse::<Target>();
    match &target {
        Ok(target) => check_target(onward, target),
        Err(error) => assert!(error.to_string().contains("ipv4:ADDR:PORT"), "{error}"),
    }
    let mut pvo = Pvo::default().with("onward", onward);
    for (name, value) in options.filter_map(|option| option.split_once('=')) {
        if !name.starts_with("onward-tls") {
            pvo.push(name, value);
        }
    }
    CONTEXT.with_borrow_mut(|context| match context.create_vhost(relay(pvo)) {
        Ok(vhost) => {
            assert!(target.is_ok());
            context.destroy_vhost(vhost);
            context.service(Some(std::time::Duration::ZERO)).expect("a turn");
            assert_eq!((context.cx().vhosts().count(), context.cx().wsi_count()), (0, 0));
        }
        Err(error) => assert!(error.to_string().contains("fuzzed"), "{error}"),
    });
});

fn check_target(text: &str, target: &Target) {
    assert_eq!(target.to_string().parse::<Target>().as_ref(), Ok(target), "{text:?}");
    match target {
        Target::Unix(path) => assert!(!path.as_os_str().is_empty()),
        Target::Ipv4 { host, port } | Target::Ipv6 { host, port } | Target::Tcp { host, port } => {
            assert!(*port > 0 && !host.is_empty() && host.len() <= 253);
            assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)), "{host:?}");
        }
        _ => panic!("what is {target:?}?"),
    }
}

fn relay(pvo: Pvo) -> VhostInfo {
    VhostInfo {
        name: "fuzzed".into(),
        listen: Listen::None,
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: Pvo::default().with("raw-proxy", pvo),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    }
}
