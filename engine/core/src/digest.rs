//! Content digests: how definitions, entities and data are named.

use sha2::{Digest, Sha256};

/// First 16 hexadecimal digits of SHA-256 over the parts, each preceded by its length,
/// so that `["ab", "c"]` and `["a", "bc"]` differ.
#[must_use]
pub fn digest<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part.as_ref());
    }
    hex::encode(&hash.finalize()[..8])
}

/// 64 bits that stand for a text: FNV-1a (Fowler, Noll and Vo), the same in every version of everything. Its low bits
/// are mixed worst, so take others, or mix it again.
#[must_use]
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_borders_between_parts_count() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 16);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!((fnv1a(""), fnv1a("foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
