//! Timers, beside many that wait: each costs O(log n) in how many there are.

use std::time::Duration;

use divan::Bencher;

use crate::site::Site;

const OTHERS: [usize; 3] = [0, 1_000, 100_000];
const HOUR: Duration = Duration::from_secs(3600);

/// Scheduled and taken back, between others that come sooner and later.
#[divan::bench(args = OTHERS)]
fn schedule_and_cancel(bencher: Bencher<'_, '_>, others: usize) {
    let mut site = with_others(others);
    let vhost = site.vhost();
    bencher.bench_local(|| {
        let cx = site.context().cx();
        let sul = cx.schedule(vhost, "raw-echo", HOUR).expect("it is enabled");
        cx.cancel_sul(sul)
    });
}

/// A turn in which one is due.
#[divan::bench(args = OTHERS)]
fn one_is_due(bencher: Bencher<'_, '_>, others: usize) {
    let mut site = with_others(others);
    let vhost = site.vhost();
    bencher.bench_local(|| {
        site.context().cx().schedule(vhost, "raw-echo", Duration::ZERO).expect("it is enabled");
        site.turn();
    });
}

fn with_others(count: usize) -> Site {
    let mut site = Site::new();
    let vhost = site.vhost();
    for number in 0..count {
        let after = HOUR / 2 + HOUR.mul_f64(number as f64 / count as f64);
        site.context().cx().schedule(vhost, "raw-echo", after).expect("it is enabled");
    }
    site
}
