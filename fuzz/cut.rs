//! What fuzz targets share: bytes, cut into pieces, a WebSocket server and a client.

pub mod answering;
pub mod socket;

/// Pieces of up to 23 bytes, empty ones among them, of lengths that a seed chooses.
pub fn cut(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    cut_into(bytes, seed, 23)
}

/// Pieces of up to `longest` bytes, empty ones among them, of lengths that a seed chooses.
pub fn cut_into(bytes: &[u8], seed: u8, longest: usize) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, u32::from(seed) | 0x100);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, behind) = rest.split_at(((state >> 8) as usize % (longest + 1)).min(rest.len()));
        let was_empty = rest.is_empty();
        rest = behind;
        (!was_empty).then_some(piece)
    })
}
