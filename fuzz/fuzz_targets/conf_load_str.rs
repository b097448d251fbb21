//! Any text as a configuration: it is taken, or there is an error with a place within the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rlws::ProtocolTable;
use rlws::conf::{Loader, Severity};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy};

const PROTOCOLS: [ProtocolTable; 3] =
    [ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<RawProxy>()];

fuzz_target!(|text: &str| {
    let result = Loader::new().own_section("own").load_str("f", text);
    let told = match &result {
        Ok(conf) => conf.warnings(),
        Err(error) => &error.diagnostics,
    };
    assert_eq!(result.is_err(), told.iter().any(|one| one.severity == Severity::Error));
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for one in told {
        assert!((1..=lines).contains(&(one.place.line as usize)) && one.place.column >= 1, "{one}");
        assert!(!one.to_string().contains('\n'), "{one}");
    }
    if let Ok(conf) = &result {
        let _any_answer = conf.vhost_infos(&PROTOCOLS);
        let _any_section = conf.section("own").map(|own| own.str().is_ok());
    }
});
