//! Which known name a typo was meant to be.

/// The nearest of the known names, where one is near enough to be meant: another case or another hyphen, or a slip of one letter in
/// four.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = plain(name);
    let candidates = known.into_iter().filter_map(|candidate| {
        let other = self::plain(candidate);
        let limit = allowed(plain.len().max(other.len()));
        let near = distance(&plain, &other, limit)?;
        Some((near, candidate))
    });
    candidates.min_by_key(|(near, _)| *near).map(|(_, candidate)| candidate)
}

/// Slips that leave a name of that length recognizable.
fn allowed(length: usize) -> usize {
    (length / 4).min(3)
}

fn plain(name: &str) -> Vec<char> {
    name.chars().take(LONGEST).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// No name of ours is nearly as long, so nothing that is cut here is near one.
const LONGEST: usize = 100;

/// The number of letters inserted, left out, replaced or swapped with their neighbour, up to `limit` (optimal string alignment).
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["name", "port", "sts", "keepalive_timeout", "listen-accept-role", "host-ssl-cert"];

    #[test]
    fn a_slip_finds_its_name() {
        for (typo, meant) in [
            ("prot", "port"),
            ("Port", "port"),
            ("porf", "port"),
            ("keepalive-timeout", "keepalive_timeout"),
            ("listen-acept-rule", "listen-accept-role"),
            ("host_ssl_cert", "host-ssl-cert"),
            ("host-sll-cert", "host-ssl-cert"),
            ("STS", "sts"),
        ] {
            assert_eq!(nearest(typo, KNOWN), Some(meant), "{typo}");
        }
    }

    #[test]
    fn another_name_finds_none() {
        let long = "port".repeat(1_000_000);
        for name in ["", "p", "interface", "st", "pport2", "accept-role", "uid", &long] {
            assert_eq!(nearest(name, KNOWN), None, "{name}");
        }
    }
}
