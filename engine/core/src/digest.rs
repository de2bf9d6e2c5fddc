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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_borders_between_parts_count() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 16);
    }
}
