//! Options fixed from outside the program: the environment wins over the socket option, which wins over the default.

use std::ffi::OsString;

use super::{Kind, OptionError, ROWS, SocketOptions};

impl SocketOptions {
    /// The defaults, with what `read` knows of the variables that override options.
    ///
    /// Such an option can still be set, and is then checked, but keeps and reads back the environment's value.
    ///
    /// # Errors
    ///
    /// [`OptionError::Environment`] if a variable is set to anything but a number in its option's range: to go on
    /// with another value than the one asked for would be worse than not to start.
    pub(crate) fn with_environment(read: impl Fn(&str) -> Option<OsString>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for row in ROWS {
            let (Some(variable), &Kind::Int { min, max, store, .. }) = (row.variable, &row.kind) else {
                continue;
            };
            let Some(text) = read(variable) else { continue };
            let number = text.to_str().and_then(|text| text.trim().parse::<i32>().ok());
            let Some(number) = number.filter(|number| (min..=max).contains(number)) else {
                return Err(OptionError::Environment {
                    variable,
                    value: text.to_string_lossy().into_owned(),
                    min: min.into(),
                    max: max.into(),
                });
            };
            store(&mut options, number);
            options.fixed.push(row.id);
        }
        Ok(options)
    }
}
