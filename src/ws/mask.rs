//! Masking (RFC 6455 section 5.3): what a client sends is XORed with a key of its choice, so that nothing in between takes it for something
//! else.

use super::frame::Key;

/// Masks bytes, or unmasks them. `at` is where in the frame's payload they stand.
pub(crate) fn apply(bytes: &mut [u8], key: Key, at: u64) {
    let mut key = key;
    key.rotate_left((at % 4) as usize);
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (chunks, rest) = bytes.as_chunks_mut();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_meets_its_part_of_the_key(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            key in any::<Key>(),
            at in 0..1000u64,
        ) {
            let plain: Vec<u8> =
                bytes.iter().zip(at..).map(|(byte, place)| byte ^ key[(place % 4) as usize]).collect();
            let mut masked = bytes;
            apply(&mut masked, key, at);
            prop_assert_eq!(masked, plain);
        }
    }
}
