//! Any bytes as a configuration of one file or several, with a NUL between them: it is taken, or there is an error with a place within a
//! file.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use rlws::conf::{Loader, Severity};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy, RawTest};
use rlws::{ProtocolTable, VhostInfo};

const PROTOCOLS: [ProtocolTable; 4] = [
    ProtocolTable::of::<HttpDummy>(),
    ProtocolTable::of::<RawEcho>(),
    ProtocolTable::of::<RawProxy>(),
    ProtocolTable::of::<RawTest>(),
];

fuzz_target!(|bytes: &[u8]| {
    let texts: Vec<(String, &[u8])> =
        bytes.split(|byte| *byte == 0).enumerate().map(|(index, text)| (format!("f{index}"), text)).collect();
    let files = || texts.iter().map(|(name, text)| (name.as_str(), *text));
    let result = Loader::new().own_section("own").load_texts(files());
    let told = match &result {
        Ok(conf) => conf.warnings(),
        Err(error) => &error.diagnostics,
    };
    assert_eq!(result.is_err(), told.iter().any(|one| one.severity == Severity::Error));
    let lines: HashMap<&str, usize> =
        files().map(|(name, text)| (name, text.iter().filter(|byte| **byte == b'\n').count() + 1)).collect();
    for one in told {
        assert!((1..=lines[one.place.file.as_str()]).contains(&(one.place.line as usize)), "{one}");
        assert!(one.place.column >= 1 && !one.to_string().contains('\n'), "{one}");
    }
    if let Ok(conf) = &result {
        // What a worker is handed is what was read.
        let again = Loader::new().own_section("own").load_texts(conf.texts()).expect("it was taken before");
        assert_eq!((again.vhosts.len(), &again.global), (conf.vhosts.len(), &conf.global));
        let _any_answer = conf.vhost_infos(&PROTOCOLS).map(|infos| infos.infos.iter().map(VhostInfo::clone).count());
        let _any_section = conf.section("own").map(|own| own.str().is_ok());
    }
});
