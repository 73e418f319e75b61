//! The typed option methods of `Socket`, made from the option table.
//!
//! `Socket` brings `set_option(&self, i32, &[u8]) -> Result<(), Error>`, `option_int(&self, i32) -> Result<i32, Error>`
//! and `option_bytes(&self, i32) -> Result<Vec<u8>, Error>`, whose value is as `zmq_getsockopt` writes it, closing NUL
//! included. `Error` is the crate's, made from [`OptionError`] with `From`.

use std::time::Duration;

use zeroize::Zeroizing;
use zlink_zmtp::curve::KEY_LEN;

use super::{OptionError, lookup};

/// `duration` as the number an option of unit `unit` takes, rounded up: a timeout is never shorter than asked for.
pub(crate) fn duration_to_int(id: i32, duration: Duration, unit: Duration) -> Result<i32, OptionError> {
    let count = duration.as_nanos().div_ceil(unit.as_nanos());
    i32::try_from(count).map_err(|_| {
        let row = lookup(id);
        let (min, max) = row.and_then(|row| row.range()).unwrap_or((0, i32::MAX));
        OptionError::OutOfRange {
            name: row.map_or("", |row| row.name),
            value: i64::try_from(count).unwrap_or(i64::MAX),
            min: min.into(),
            max: max.into(),
        }
    })
}

/// The duration that `value` counts in `unit`; `None` for the −1 that stands for none or no end.
pub(crate) fn int_to_duration(value: i32, unit: Duration) -> Option<Duration> {
    u32::try_from(value).ok().map(|count| unit * count)
}

/// The eight bytes of a 64-bit option.
pub(crate) fn eight_bytes(bytes: &[u8]) -> Result<[u8; 8], OptionError> {
    bytes.try_into().map_err(|_| OptionError::WrongSize {
        name: "64-bit option",
        min: 8,
        max: 8,
        actual: bytes.len(),
    })
}

/// The bytes of a key, which are wiped where they came from.
pub(crate) fn key_from_bytes(bytes: Vec<u8>) -> Result<[u8; KEY_LEN], OptionError> {
    let bytes = Zeroizing::new(bytes);
    bytes.as_slice().try_into().map_err(|_| OptionError::WrongSize {
        name: "key",
        min: KEY_LEN,
        max: KEY_LEN,
        actual: bytes.len(),
    })
}

/// A text option as it is read: the bytes before the first NUL.
pub(crate) fn text_from_bytes(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

/// Defines the option methods. To be used once, inside `impl Socket`.
macro_rules! socket_accessors {
    () => {
        $crate::option::table::option_table!($crate::option::accessors::define_accessors);
    };
}

macro_rules! define_accessors {
    (
        stored { $(
            $(#[doc = $doc:literal])+
            {
                $id:ident = $number:literal; $field:ident: $kind:ident $args:tt = $default:literal;
                on [$($socket:ident),*]; $applies:ident $access:ident;
                $about:literal, $unit:literal; $accessor:ident $methods:tt;
                $(env $variable:literal;)?
            }
        )+ }
        other { $(
            $(#[doc = $other_doc:literal])+
            {
                $other_id:ident = $other_number:literal; $other_kind:ident $other_args:tt = $other_default:literal;
                on [$($other_socket:ident),*]; $other_applies:ident $other_access:ident;
                $other_about:literal, $other_unit:literal; $other_accessor:ident $other_methods:tt;
            }
        )+ }
    ) => {
        $( $crate::option::accessors::define_documented! {
            $accessor $methods $id $about [$($doc),+]
            concat!(
                "Unit in C: ", $unit, ". Default ", $default, ". ",
                $crate::option::accessors::applies_text!($applies), $crate::option::accessors::only_on!($($socket)*)
                $(, " The environment variable `", $variable, "` wins over it.")?
            )
        } )+
        $( $crate::option::accessors::define_documented! {
            $other_accessor $other_methods $other_id $other_about [$($other_doc),+]
            concat!(
                "Unit in C: ", $other_unit, ". ",
                $crate::option::accessors::applies_text!($other_applies),
                $crate::option::accessors::only_on!($($other_socket)*)
            )
        } )+
    };
}

macro_rules! applies_text {
    (AtOnce) => {
        "Applies at once."
    };
    (LaterEndpoints) => {
        "Applies to later binds and connects."
    };
    (NextConnect) => {
        "Applies to the next connect only."
    };
    (Never) => {
        "Only read."
    };
}

macro_rules! only_on {
    () => { "" };
    ($($socket:ident)+) => { concat!(" Only for", $(" ", stringify!($socket)),+, " sockets.") };
}

/// Writes the documentation of a setter and of a getter, and leaves the methods to `define_methods`.
macro_rules! define_documented {
    ($accessor:ident $methods:tt $id:ident $about:literal [$($doc:literal),+] $facts:expr) => {
        $crate::option::accessors::define_methods! {
            $accessor $methods $id
            {
                #[doc = concat!("Sets ", $about, ".")]
                #[doc = ""]
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = $facts]
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = ""]
                #[doc = "An [`OptionError`](crate::OptionError) (`EINVAL`) if the value is not valid or the socket's"]
                #[doc = "type does not take the option; `ETERM` if the context is terminated."]
                #[doc = ""]
                #[doc = concat!("Source: `ZMQ_", stringify!($id), "`.")]
            }
            {
                #[doc = concat!("Returns ", $about, ".")]
                #[doc = ""]
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = $facts]
                #[doc = ""]
                #[doc = "# Errors"]
                #[doc = ""]
                #[doc = "An [`OptionError`](crate::OptionError) (`EINVAL`) if the socket's type does not have the"]
                #[doc = "option; `ETERM` if the context is terminated."]
                #[doc = ""]
                #[doc = concat!("Source: `ZMQ_", stringify!($id), "`.")]
            }
        }
    };
}

macro_rules! define_methods {
    (none() $($rest:tt)*) => {};
    (int($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: i32) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, &value.to_ne_bytes())
        }
        $crate::option::accessors::define_methods! { get_int($get) $id {} { $($gets)* } }
    };
    (int_set($set:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: u32) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, &value.to_ne_bytes())
        }
    };
    (get_int($get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($gets)*
        pub fn $get(&self) -> std::result::Result<i32, $crate::Error> {
            self.option_int($crate::option::id::$id)
        }
    };
    (flag($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { flag_set($set) $id { $($sets)* } {} }
        $crate::option::accessors::define_methods! { get_flag($get) $id {} { $($gets)* } }
    };
    (flag_set($set:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: bool) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, &i32::from(value).to_ne_bytes())
        }
    };
    (get_flag($get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($gets)*
        pub fn $get(&self) -> std::result::Result<bool, $crate::Error> {
            Ok(self.option_int($crate::option::id::$id)? != 0)
        }
    };
    (long($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @eight i64 $set $get $id { $($sets)* } { $($gets)* } }
    };
    (word($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @eight u64 $set $get $id { $($sets)* } { $($gets)* } }
    };
    (@eight $type:ident $set:ident $get:ident $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: $type) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, &value.to_ne_bytes())
        }
        $($gets)*
        pub fn $get(&self) -> std::result::Result<$type, $crate::Error> {
            let bytes = self.option_bytes($crate::option::id::$id)?;
            Ok($crate::option::accessors::eight_bytes(&bytes).map($type::from_ne_bytes)?)
        }
    };
    (millis($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @duration 1_000_000 $set $get $id { $($sets)* } { $($gets)* } }
    };
    (micros($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @duration 1_000 $set $get $id { $($sets)* } { $($gets)* } }
    };
    (@duration $nanos:literal $set:ident $get:ident $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @set_duration $nanos $set $id { $($sets)* } }
        $($gets)*
        pub fn $get(&self) -> std::result::Result<std::time::Duration, $crate::Error> {
            let value = self.option_int($crate::option::id::$id)?;
            let unit = std::time::Duration::from_nanos($nanos);
            Ok($crate::option::accessors::int_to_duration(value, unit).unwrap_or_default())
        }
    };
    (@set_duration $nanos:literal $set:ident $id:ident { $($sets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: std::time::Duration) -> std::result::Result<(), $crate::Error> {
            let id = $crate::option::id::$id;
            let unit = std::time::Duration::from_nanos($nanos);
            self.set_option(id, &$crate::option::accessors::duration_to_int(id, value, unit)?.to_ne_bytes())
        }
    };
    (millis_or_unset($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { @set_duration 1_000_000 $set $id { $($sets)* } }
        $crate::option::accessors::define_methods! { @get_timeout $get $id { $($gets)* } }
    };
    (timeout($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        #[doc = ""]
        #[doc = "Here `None` stands for −1. Fractions of a millisecond are rounded up."]
        pub fn $set(&self, value: Option<std::time::Duration>) -> std::result::Result<(), $crate::Error> {
            let id = $crate::option::id::$id;
            let unit = std::time::Duration::from_millis(1);
            let value = match value {
                Some(value) => $crate::option::accessors::duration_to_int(id, value, unit)?,
                None => -1,
            };
            self.set_option(id, &value.to_ne_bytes())
        }
        $crate::option::accessors::define_methods! { @get_timeout $get $id { $($gets)* } }
    };
    (@get_timeout $get:ident $id:ident { $($gets:tt)* }) => {
        $($gets)*
        #[doc = ""]
        #[doc = "Here `None` stands for −1."]
        pub fn $get(&self) -> std::result::Result<Option<std::time::Duration>, $crate::Error> {
            let value = self.option_int($crate::option::id::$id)?;
            Ok($crate::option::accessors::int_to_duration(value, std::time::Duration::from_millis(1)))
        }
    };
    (bytes($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { bytes_set($set) $id { $($sets)* } {} }
        $($gets)*
        pub fn $get(&self) -> std::result::Result<Vec<u8>, $crate::Error> {
            self.option_bytes($crate::option::id::$id)
        }
    };
    (bytes_set($set:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: &[u8]) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, value)
        }
    };
    (public_key($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, key: &$crate::curve::PublicKey) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, &key.0)
        }
        $($gets)*
        pub fn $get(&self) -> std::result::Result<$crate::curve::PublicKey, $crate::Error> {
            let bytes = self.option_bytes($crate::option::id::$id)?;
            Ok($crate::curve::PublicKey($crate::option::accessors::key_from_bytes(bytes)?))
        }
    };
    (secret_key($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, key: &$crate::curve::SecretKey) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, key.as_bytes())
        }
        $($gets)*
        pub fn $get(&self) -> std::result::Result<$crate::curve::SecretKey, $crate::Error> {
            let bytes = self.option_bytes($crate::option::id::$id)?;
            Ok($crate::curve::SecretKey::new($crate::option::accessors::key_from_bytes(bytes)?))
        }
    };
    (text($set:ident, $get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $crate::option::accessors::define_methods! { text_set($set) $id { $($sets)* } {} }
        $crate::option::accessors::define_methods! { get_text($get) $id {} { $($gets)* } }
    };
    (text_set($set:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($sets)*
        pub fn $set(&self, value: &str) -> std::result::Result<(), $crate::Error> {
            self.set_option($crate::option::id::$id, value.as_bytes())
        }
    };
    (get_text($get:ident) $id:ident { $($sets:tt)* } { $($gets:tt)* }) => {
        $($gets)*
        pub fn $get(&self) -> std::result::Result<String, $crate::Error> {
            let bytes = self.option_bytes($crate::option::id::$id)?;
            Ok($crate::option::accessors::text_from_bytes(&bytes))
        }
    };
}

pub(crate) use {
    applies_text, define_accessors, define_documented, define_methods, only_on, socket_accessors,
};
