//! Looking up an option that a vhost gives to a protocol, as protocols do at their initialisation.

use divan::{Bencher, black_box};
use rlws::Pvo;

/// The last of so many, below the protocol's own node.
#[divan::bench(args = [1, 8, 64])]
fn last_pvo(bencher: Bencher<'_, '_>, count: usize) {
    let own = (1..count).fold(Pvo::default(), |own, number| own.with(format!("option-{number}"), "1"));
    let tree = Pvo::default().with("raw-proxy", own.with("onward", "ipv4:127.0.0.1:22"));
    let find = |tree: &Pvo| tree.child("raw-proxy").and_then(|own| own.get("onward")).map(str::len);
    assert_eq!(find(&tree), Some("ipv4:127.0.0.1:22".len()));
    bencher.bench(|| find(black_box(&tree)));
}
