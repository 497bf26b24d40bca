//! Random identifiers: 64 lower-case hexadecimal digits, shown as their first twelve.

use super::text::hex;

/// How many digits of an id a listing shows.
pub const SHORT: usize = 12;

/// Makes a new 256-bit id.
pub fn random() -> String {
    hex(&bytes::<32>())
}

/// Makes a short random word for staging names: 16 digits.
pub fn word() -> String {
    hex(&bytes::<8>())
}

/// Random bytes from the kernel.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0u8; N];
    let mut filled = 0;
    while filled < N {
        match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("getrandom without flags fails only when interrupted: {error}"),
        }
    }
    buffer
}

/// Shortens an id (with or without an algorithm in front) for a listing.
pub fn short(id: &str) -> &str {
    let bare = id.split_once(':').map_or(id, |(_, rest)| rest);
    bare.get(..SHORT).unwrap_or(bare)
}

/// Whether `text` could be an id or the beginning of one.
pub fn is_prefix(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_and_differ() {
        let (a, b) = (random(), random());
        assert!(a.len() == 64 && is_prefix(&a) && a != b);
        assert_eq!(short(&format!("sha256:{a}")), &a[..12]);
    }
}
