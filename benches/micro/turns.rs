//! A turn of the loop beside many silent connections, which are to cost nothing.

use divan::Bencher;

use crate::site::Site;

const SILENT: [usize; 3] = [0, 1_000, 8_000];

/// Nothing has happened.
#[divan::bench(args = SILENT)]
fn empty_turn(bencher: Bencher<'_, '_>, silent: usize) {
    let mut site = Site::new().with_silent(silent);
    bencher.bench_local(|| site.turn());
}

/// One connection says 64 bytes, and gets them back.
#[divan::bench(args = SILENT)]
fn echo(bencher: Bencher<'_, '_>, silent: usize) {
    let mut site = Site::new().with_silent(silent);
    let (mut client, mut buf) = (site.echo(), [0; 64]);
    bencher.bench_local(|| site.exchange(&mut client, &[b'x'; 64], 64, &mut buf));
}
