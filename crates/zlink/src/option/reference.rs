//! The option reference for people, written from the table.

use std::fmt::Write;

use super::ROWS;
use super::row::{Applies, FlagRule, Kind, LiveValue, OptionRow};

/// Socket options of the transports `vmci` and `norm`, which are not built in: their C names and numbers. As a libzmq
/// without them does, setting and reading one is refused with `EINVAL`, as if it were unknown.
pub const NOT_BUILT_IN: &[(&str, i32)] = &[
    ("ZMQ_VMCI_BUFFER_SIZE", 85),
    ("ZMQ_VMCI_BUFFER_MIN_SIZE", 86),
    ("ZMQ_VMCI_BUFFER_MAX_SIZE", 87),
    ("ZMQ_VMCI_CONNECT_TIMEOUT", 88),
    ("ZMQ_NORM_MODE", 117),
    ("ZMQ_NORM_UNICAST_NACK", 118),
    ("ZMQ_NORM_BUFFER_SIZE", 119),
    ("ZMQ_NORM_SEGMENT_SIZE", 120),
    ("ZMQ_NORM_BLOCK_SIZE", 121),
    ("ZMQ_NORM_NUM_PARITY", 122),
    ("ZMQ_NORM_NUM_AUTOPARITY", 123),
    ("ZMQ_NORM_PUSH", 124),
];

/// The text of `docs/options.md`: every socket option in Markdown, from the table the library itself uses.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = String::from(HEAD);
    let contents: Vec<String> =
        ROWS.iter().map(|row| format!("[`{}`](#{})", row.name, row.name.to_lowercase())).collect();
    text.push_str(&contents.join(" · "));
    text.push_str("\n\n");
    for row in ROWS {
        write_row(&mut text, row);
    }
    text.push_str("## Refused options of libzmq 4.3.5\n\n");
    text.push_str(
        "These belong to the transports `vmci` and `norm`, which are not built in. As with a libzmq that is built \
         without them, setting and reading them fails with `EINVAL`:\n\n",
    );
    for (name, number) in NOT_BUILT_IN {
        push(&mut text, format_args!("- `{name}` ({number})\n"));
    }
    text
}

const HEAD: &str = "\
# Socket options

Made from the option table of the library; do not edit. `UPDATE_DOCS=1 cargo test -p zlink-mq option` writes it anew.

In C an option is set with `zmq_setsockopt` and read with `zmq_getsockopt`, in Rust with the methods named. A value of
the wrong length or outside the range, an option the socket's type does not take, and an unknown one are refused with
`EINVAL`, and nothing changes. Numbers of fixed size are read into a buffer of just that size, unless noted. Bytes
and text are read into a buffer at least as long as the value; the rest of it is set to zero, and the length is set
to that of the value, which for text counts the closing NUL.

";

fn write_row(text: &mut String, row: &OptionRow) {
    push(text, format_args!("## {}\n\n", row.name));
    let mut letters = row.about.chars();
    if let Some(first) = letters.next() {
        push(text, format_args!("{}{}.", first.to_uppercase(), letters.as_str()));
    }
    for line in row.doc {
        push(text, format_args!("\n{}", line.trim()));
    }
    text.push_str("\n\n| | |\n|---|---|\n");
    let mut fact = |name: &str, value: String| push(text, format_args!("| {name} | {value} |\n"));
    fact("number", row.id.to_string());
    fact("type", value_type(row).to_owned());
    fact("unit", row.unit.to_owned());
    fact("range", range(row));
    fact("default", row.default.to_owned());
    fact("sockets", sockets(row));
    fact("applies", applies(row).to_owned());
    fact("access", access(row).to_owned());
    if let Some(variable) = row.variable {
        fact(
            "environment",
            format!("`{variable}` wins over the option and the default, for sockets created later"),
        );
    }
    if !row.methods.is_empty() {
        let methods: Vec<String> = row.methods.iter().map(|method| format!("`{method}`")).collect();
        fact("Rust", methods.join(", "));
    }
    text.push('\n');
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a String cannot fail");
}

fn value_type(row: &OptionRow) -> &'static str {
    match row.kind {
        Kind::Int { .. } | Kind::Flag { .. } => "`int`",
        Kind::Live { value: LiveValue::ExactInt, .. } => "`int`",
        Kind::Live { value: LiveValue::Int, .. } => "`int`; the buffer may be larger",
        Kind::Word { .. } => "`uint64_t`",
        Kind::Long { .. } => "`int64_t`",
        Kind::Bytes { .. } | Kind::Metadata | Kind::Live { value: LiveValue::Bytes { .. }, .. } => "bytes",
        Kind::Text { .. } | Kind::Live { value: LiveValue::Text, .. } => "text",
        Kind::Collected { form, .. } => form,
        Kind::Key { .. } => "bytes, or text in Z85",
    }
}

fn range(row: &OptionRow) -> String {
    let lengths = |min: usize, max: usize| match (min, max) {
        (0, usize::MAX) => "any length".to_owned(),
        (min, usize::MAX) => format!("{min} bytes or more"),
        (min, max) => format!("{min} to {max} bytes"),
    };
    match row.kind {
        Kind::Int { min: i32::MIN, max: i32::MAX, .. } => "any".to_owned(),
        Kind::Int { min, max, .. } => match (min, max) {
            (min, i32::MAX) => format!("{min} or more"),
            (min, max) => format!("{min} to {max}"),
        },
        Kind::Flag { rule: FlagRule::Strict, .. } => "0 or 1".to_owned(),
        Kind::Flag { rule: FlagRule::NonNegative, .. } => "0, or anything positive for 1".to_owned(),
        Kind::Flag { rule: FlagRule::Any, .. } => "0, or anything else for 1".to_owned(),
        Kind::Word { .. } | Kind::Long { .. } => "any".to_owned(),
        Kind::Bytes { min, max, .. } | Kind::Live { value: LiveValue::Bytes { min, max }, .. } => {
            lengths(min, max)
        }
        Kind::Text { min, max, .. } => lengths(min, max),
        Kind::Key { .. } => "32 bytes; 40 characters, or 41 bytes with the NUL".to_owned(),
        Kind::Metadata => "`X-Name:value`".to_owned(),
        Kind::Collected { .. } => "–".to_owned(),
        Kind::Live { .. } => "–".to_owned(),
    }
}

fn sockets(row: &OptionRow) -> String {
    if row.sockets.is_empty() {
        return "all".to_owned();
    }
    let names: Vec<String> = row.sockets.iter().map(|socket| format!("{socket:?}").to_uppercase()).collect();
    names.join(", ")
}

fn applies(row: &OptionRow) -> &'static str {
    match row.applies {
        Applies::AtOnce => "at once",
        Applies::LaterEndpoints => "to later binds and connects",
        Applies::NextConnect => "to the next connect only",
        Applies::Never => "–",
    }
}

fn access(row: &OptionRow) -> &'static str {
    match (row.readable, row.writable) {
        (true, true) => "set and read",
        (true, false) => "read",
        _ => "set",
    }
}
