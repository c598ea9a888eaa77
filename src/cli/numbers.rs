//! Numbers on the command line.

/// A whole number from 0 on.
pub fn whole_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_what_to_write() {
        assert_eq!((whole_number("0"), whole_number("12")), (Ok(0), Ok(12)));
        for bad in ["", "ten", "-1", "1.5", "99999999999", "0x1"] {
            assert_eq!(whole_number(bad).unwrap_err(), "write a whole number from 0 to 4294967295", "{bad}");
        }
    }
}
