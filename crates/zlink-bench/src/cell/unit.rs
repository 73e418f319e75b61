//! Numbers with units, as the command line and the scenario files write them.

/// Reads `64`, `64B`, `4K`, `4KiB`, `1M` or `1MiB`; K and M are powers of 1024.
///
/// The largest size is 1 GiB: two such messages still fit into an ordinary machine.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) =
        split(text).ok_or_else(|| format!("`{text}` is not a size (examples: 64, 4K, 1M)"))?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        other => return Err(format!("`{other}` is not a unit of size (B, K, M)")),
    };
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= 1 << 30)
        .map(|bytes| bytes as usize)
        .ok_or_else(|| format!("`{text}` is more than 1 GiB"))
}

pub(crate) fn format_size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{}M", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{}K", b >> 10),
        b => format!("{b}B"),
    }
}

/// Reads `500`, `10k` or `1m` as a number of messages or sockets; k and m are powers of 1000. At least 1.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a number of messages or sockets (examples: 8, 10k)");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|count| (1..=1_000_000_000).contains(count)).ok_or_else(wrong)
}

/// Reads `250us`, `1ms` or `2s` as microseconds, up to a minute. A number alone means microseconds.
pub(crate) fn parse_micros(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time up to a minute (examples: 250us, 1ms)");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let factor = match unit {
        "" | "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).filter(|micros| *micros <= 60_000_000).ok_or_else(wrong)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size(" 64B "), Ok(64));
        assert_eq!(parse_size("4K"), Ok(4096));
        assert_eq!(parse_size("4kib"), Ok(4096));
        assert_eq!(parse_size("1M"), Ok(1 << 20));
        assert_eq!(parse_size("0"), Ok(0));
    }

    #[test]
    fn sizes_that_are_none_or_too_large_are_refused() {
        for bad in ["", "K", "-1", "1.5K", "64X", "2G", "99999999999999999999", "17179869184G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_printed_size_reads_back_as_the_same_size() {
        for size in [0, 1, 64, 1000, 1024, 1025, 65536, 1 << 20, (1 << 20) + 1] {
            assert_eq!(parse_size(&format_size(size)), Ok(size));
        }
    }

    #[test]
    fn counts_and_times_have_units_and_limits() {
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert_eq!(parse_count("8"), Ok(8));
        assert_eq!(parse_micros("1ms"), Ok(1_000));
        assert_eq!(parse_micros("250us"), Ok(250));
        assert_eq!(parse_micros("7"), Ok(7));
        for bad in ["", "0", "k", "-1", "1.5k", "2000m", "99999999999999999999k"] {
            assert!(parse_count(bad).is_err(), "{bad}");
        }
        for bad in ["", "ms", "1h", "61s", "1.5ms", "18446744073709551615s"] {
            assert!(parse_micros(bad).is_err(), "{bad}");
        }
    }
}
