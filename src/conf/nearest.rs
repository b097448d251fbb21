//! Which known name a typo was meant to be.

/// The nearest of the known names, where one is near enough to be meant: another case or another hyphen, or a slip of one letter in
/// four.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name: Vec<u8> = name.bytes().take(LONGEST).map(plain).collect();
    let mut rows = [[0; LONGEST + 1]; 3];
    let candidates = known.into_iter().filter_map(|candidate| {
        let limit = allowed(name.len().max(candidate.len()));
        Some((distance(&name, candidate.as_bytes(), limit, &mut rows)?, candidate))
    });
    candidates.min_by_key(|(near, _)| *near).map(|(_, candidate)| candidate)
}

/// Slips that leave a name of that length recognizable.
fn allowed(length: usize) -> usize {
    (length / 4).min(3)
}

fn plain(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// No name of ours is nearly as long, so nothing that is cut here is near one.
const LONGEST: usize = 100;

/// The number of bytes inserted, left out, replaced or swapped with their neighbour, up to `limit` (optimal string alignment). Known names
/// are ASCII.
fn distance(a: &[u8], b: &[u8], limit: usize, rows: &mut [[usize; LONGEST + 1]; 3]) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit || b.len() > LONGEST {
        return None;
    }
    let [before, last, row] = rows;
    last.iter_mut().enumerate().for_each(|(index, cell)| *cell = index);
    for (i, x) in a.iter().enumerate() {
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let y = plain(*y);
            let mut best = (last[j] + usize::from(*x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == plain(b[j - 1]) && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        std::mem::swap(before, last);
        std::mem::swap(last, row);
    }
    Some(last[b.len()]).filter(|distance| *distance <= limit)
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
