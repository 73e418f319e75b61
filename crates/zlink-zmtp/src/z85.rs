//! Z85: binary data as text. Keys are written so.
//!
//! Four bytes, as a number with the most significant first, are five digits to the base 85.
//!
//! Source: 32/Z85.

/// The digits, in the order of their values.
const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
const NO_DIGIT: u8 = 255;

/// The value of each character.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

fn encode_group(bytes: [u8; 4]) -> [u8; 5] {
    let mut number = u32::from_be_bytes(bytes);
    let mut text = [0; 5];
    for place in text.iter_mut().rev() {
        *place = DIGITS[(number % 85) as usize];
        number /= 85;
    }
    text
}

/// Fails if a character is no digit, or the number takes more than 32 bits.
fn decode_group(text: [u8; 5]) -> Option<[u8; 4]> {
    let mut number = 0u32;
    for character in text {
        let value = VALUES[usize::from(character)];
        if value == NO_DIGIT {
            return None;
        }
        number = number.checked_mul(85)?.checked_add(value.into())?;
    }
    Some(number.to_be_bytes())
}

/// Writes the text of `bytes`, whose number is a multiple of 4, to `text`, which is 5/4 as long. What is beyond either is
/// left alone.
pub fn encode(bytes: &[u8], text: &mut [u8]) {
    for (bytes, text) in bytes.as_chunks().0.iter().zip(text.as_chunks_mut().0) {
        *text = encode_group(*bytes);
    }
}

/// Writes the bytes of `text`, whose length is a multiple of 5, to `bytes`, which is 4/5 as long. `None` if `text` is none;
/// `bytes` may have changed then.
pub fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    for (text, bytes) in text.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = decode_group(*text)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vector_of_the_specification_is_met() {
        let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
        let mut text = [0; 10];
        encode(&bytes, &mut text);
        assert_eq!(&text, b"HelloWorld");
        let mut back = [0; 8];
        assert_eq!(decode(&text, &mut back), Some(()));
        assert_eq!(back, bytes);
    }

    #[test]
    fn every_number_at_the_edges_comes_back_and_greater_ones_are_refused() {
        for number in [0, 1, 84, 85, u32::MAX - 1, u32::MAX] {
            assert_eq!(decode_group(encode_group(number.to_be_bytes())), Some(number.to_be_bytes()));
        }
        let greatest = encode_group([255; 4]);
        assert_eq!(&greatest, b"%nSc0");
        assert_eq!(decode_group(*b"%nSc1"), None);
        assert_eq!(decode_group(*b"#####"), None);
    }

    #[test]
    fn characters_that_are_no_digits_are_refused() {
        for character in (0..=255).filter(|character| !DIGITS.contains(character)) {
            for at in 0..5 {
                let mut text = *b"00000";
                text[at] = character;
                assert_eq!(decode_group(text), None, "{character} at {at}");
            }
        }
    }
}
