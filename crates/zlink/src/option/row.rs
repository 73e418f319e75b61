//! What a row of the option table says, and how a value is checked, stored and read by it.

use std::collections::BTreeSet;

use zlink_zmtp::SocketType;
use zlink_zmtp::curve::{KEY_LEN, Z85_KEY_LEN};

use super::security::Key;
use super::{OptionError, SocketOptions};

/// One option of a socket.
#[derive(Debug)]
pub(crate) struct OptionRow {
    /// Number at the C interface.
    pub(crate) id: i32,
    /// Name at the C interface.
    pub(crate) name: &'static str,
    /// What the value is and where it is kept.
    pub(crate) kind: Kind,
    /// Default as the manual shows it.
    pub(crate) default: &'static str,
    /// Unit as the manual shows it.
    pub(crate) unit: &'static str,
    /// Socket types that take it; empty for all of them.
    pub(crate) sockets: &'static [SocketType],
    /// When a new value takes effect.
    pub(crate) applies: Applies,
    /// Whether `zmq_getsockopt` answers it.
    pub(crate) readable: bool,
    /// Whether `zmq_setsockopt` takes it.
    pub(crate) writable: bool,
    /// Environment variable that wins over it.
    pub(crate) variable: Option<&'static str>,
    /// The option in a noun phrase.
    pub(crate) about: &'static str,
    /// The description, a line an item.
    pub(crate) doc: &'static [&'static str],
    /// Methods of `Socket` made from this row.
    pub(crate) methods: &'static [&'static str],
}

/// When a new value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applies {
    /// From the next operation of the socket on, existing connections included.
    AtOnce,
    /// For endpoints bound or connected afterwards.
    LaterEndpoints,
    /// For the next connect only.
    NextConnect,
    /// Nothing to apply: the option is only read.
    Never,
}

/// How an `int` is taken for a truth value. libzmq is not of one mind about it, and programs rely on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagRule {
    /// 0 or 1.
    Strict,
    /// 0, or anything positive for true.
    NonNegative,
    /// 0, or anything else for true.
    Any,
}

/// Type of an option's value, with the field of [`SocketOptions`] it is kept in.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `int` in a range.
    Int { min: i32, max: i32, load: fn(&SocketOptions) -> i32, store: fn(&mut SocketOptions, i32) },
    /// `int` as a truth value.
    Flag { rule: FlagRule, load: fn(&SocketOptions) -> bool, store: fn(&mut SocketOptions, bool) },
    /// `uint64_t`, any value.
    Word { load: fn(&SocketOptions) -> u64, store: fn(&mut SocketOptions, u64) },
    /// `int64_t`, any value.
    Long { load: fn(&SocketOptions) -> i64, store: fn(&mut SocketOptions, i64) },
    /// Bytes, written back as they are.
    Bytes { min: usize, max: usize, load: fn(&SocketOptions) -> &[u8], store: fn(&mut SocketOptions, &[u8]) },
    /// Bytes, written back with a NUL behind them.
    Text { min: usize, max: usize, load: fn(&SocketOptions) -> &[u8], store: fn(&mut SocketOptions, &[u8]) },
    /// A key of 32 bytes, set and read as such or as text in Z85.
    Key { load: fn(&SocketOptions) -> &Key, store: fn(&mut SocketOptions, Key) },
    /// `X-Name:value`, collected.
    Metadata,
    /// Values that are added one at a time, and taken back all at once by an empty one.
    Collected {
        /// What a value is, for the manual.
        form: &'static str,
        clear: fn(&mut SocketOptions),
        /// Fails with what is wrong with the value.
        add: fn(&mut SocketOptions, &[u8]) -> Result<(), &'static str>,
    },
    /// An order to the socket, or a question only the socket can answer.
    Live { action: SocketAction, value: LiveValue },
}

/// Shape of the value of a [`Kind::Live`] option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveValue {
    /// `int`, read into exactly 4 bytes.
    ExactInt,
    /// `int`, read into 4 bytes or more.
    Int,
    /// Text, read with its NUL.
    Text,
    /// Bytes handed to the action.
    Bytes { min: usize, max: usize },
}

/// An option the socket acts on or answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketAction {
    /// Add a subscription. On XPUB and PUB: to the peer last heard, and only in manual mode.
    Subscribe,
    /// Take a subscription back; as `Subscribe` otherwise.
    Unsubscribe,
    /// Name the peer of the next connect.
    ConnectRoutingId,
    /// Whether more parts of the message last received are to come.
    ReceiveMore,
    /// The descriptor that becomes readable when `Events` may have changed.
    Fd,
    /// `ZMQ_POLLIN` and `ZMQ_POLLOUT` as they hold now.
    Events,
    /// Socket type. [`get`](super::get) answers it.
    Type,
    /// The endpoint last bound or connected, or an empty text.
    LastEndpoint,
    /// Security mechanism. [`get`](super::get) answers it.
    Mechanism,
    /// 0 for all classic types. [`get`](super::get) answers it.
    ThreadSafe,
    /// How many distinct subscriptions there are.
    TopicsCount,
}

/// What [`set`](super::set) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The value is stored; the row says when it takes effect.
    Stored,
    /// The socket is to do this with the bytes that were given. The bytes are of a valid length.
    Action(SocketAction),
}

/// What [`get`](super::get) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The value is in the buffer and takes this many bytes.
    Written(usize),
    /// The socket is to answer, with [`SocketAction::write_int`] or [`SocketAction::write_text`].
    Live(SocketAction),
}

/// Adds the id of a user, a group or a process, in the form of C's types for them.
pub(super) fn add_id(ids: &mut BTreeSet<u32>, value: &[u8]) -> Result<(), &'static str> {
    ids.insert(u32::from_ne_bytes(value.try_into().map_err(|_| "an id has 4 bytes")?));
    Ok(())
}

impl OptionRow {
    /// Whether the option means something on a socket of `socket_type`.
    pub(crate) fn accepts(&self, socket_type: SocketType) -> bool {
        self.sockets.is_empty() || self.sockets.contains(&socket_type)
    }

    /// The valid numbers of an integer option.
    pub(crate) fn range(&self) -> Option<(i32, i32)> {
        match self.kind {
            Kind::Int { min, max, .. } => Some((min, max)),
            _ => None,
        }
    }

    /// Checks and stores `value`, unless the environment has fixed the option: then it is only checked.
    pub(super) fn store(&self, options: &mut SocketOptions, value: &[u8]) -> Result<Applied, OptionError> {
        match self.kind {
            Kind::Int { min, max, store, .. } => {
                let number = i32::from_ne_bytes(self.exactly(value)?);
                if !(min..=max).contains(&number) {
                    return Err(self.out_of_range(number, min, max));
                }
                if !options.fixed.contains(&self.id) {
                    store(options, number);
                }
            }
            Kind::Flag { rule, store, .. } => {
                let number = i32::from_ne_bytes(self.exactly(value)?);
                match rule {
                    FlagRule::Strict if !(0..=1).contains(&number) => {
                        return Err(self.out_of_range(number, 0, 1));
                    }
                    FlagRule::NonNegative if number < 0 => {
                        return Err(self.out_of_range(number, 0, i32::MAX));
                    }
                    _ => store(options, number != 0),
                }
            }
            Kind::Word { store, .. } => store(options, u64::from_ne_bytes(self.exactly(value)?)),
            Kind::Long { store, .. } => store(options, i64::from_ne_bytes(self.exactly(value)?)),
            Kind::Bytes { min, max, store, .. } => {
                self.check_length(value, min, max)?;
                store(options, value);
            }
            Kind::Text { min, max, store, .. } => {
                self.check_length(value, min, max)?;
                store(options, value);
            }
            Kind::Key { store, .. } => {
                self.check_key_length(value.len(), &[KEY_LEN, Z85_KEY_LEN, Z85_KEY_LEN + 1])?;
                let reason = "not the text of a key in Z85";
                let key = Key::parse(value).ok_or(OptionError::Malformed { name: self.name, reason })?;
                store(options, key);
            }
            Kind::Metadata => self.store_metadata(options, value)?,
            Kind::Collected { clear, .. } if value.is_empty() => clear(options),
            Kind::Collected { add, .. } => {
                // The length of any text option.
                self.check_length(value, 1, usize::from(u8::MAX))?;
                let malformed = |reason| OptionError::Malformed { name: self.name, reason };
                add(options, value).map_err(malformed)?;
            }
            Kind::Live { action, value: LiveValue::Bytes { min, max } } => {
                self.check_length(value, min, max)?;
                return Ok(Applied::Action(action));
            }
            Kind::Live { .. } => return Err(OptionError::ReadOnly { name: self.name }),
        }
        Ok(Applied::Stored)
    }

    /// Writes the value to `out`, or names the action that can answer.
    pub(super) fn load(
        &self,
        options: &SocketOptions,
        socket_type: SocketType,
        out: &mut [u8],
    ) -> Result<Fetched, OptionError> {
        let written = match self.kind {
            Kind::Int { load, .. } => self.write_exactly(out, &load(options).to_ne_bytes())?,
            Kind::Flag { load, .. } => self.write_exactly(out, &i32::from(load(options)).to_ne_bytes())?,
            Kind::Word { load, .. } => self.write_exactly(out, &load(options).to_ne_bytes())?,
            Kind::Long { load, .. } => self.write_exactly(out, &load(options).to_ne_bytes())?,
            Kind::Bytes { load, .. } => self.write_padded(out, load(options), 0)?,
            Kind::Text { load, .. } => self.write_padded(out, load(options), 1)?,
            Kind::Key { load, .. } => {
                self.check_key_length(out.len(), &[KEY_LEN, Z85_KEY_LEN + 1])?;
                let key = load(options);
                if out.len() == KEY_LEN {
                    self.write_padded(out, key.as_bytes(), 0)?
                } else {
                    self.write_padded(out, &key.text()[..], 1)?
                }
            }
            Kind::Metadata | Kind::Collected { .. } => {
                return Err(OptionError::WriteOnly { name: self.name });
            }
            Kind::Live { action, .. } => match action {
                SocketAction::Type => action.write_int(out, socket_type as i32)?,
                SocketAction::Mechanism => action.write_int(out, options.mechanism as i32)?,
                SocketAction::ThreadSafe => {
                    action.write_int(out, i32::from(socket_type.has_single_parts()))?
                }
                _ => return Ok(Fetched::Live(action)),
            },
        };
        Ok(Fetched::Written(written))
    }

    /// First one wins for a name given twice, as in libzmq.
    fn store_metadata(&self, options: &mut SocketOptions, value: &[u8]) -> Result<(), OptionError> {
        let malformed = |reason| OptionError::Malformed { name: self.name, reason };
        if value.len() == size_of::<i32>() {
            return Err(malformed("a value of 4 bytes is taken for an int"));
        }
        let colon =
            value.iter().position(|&byte| byte == b':').ok_or(malformed("no colon behind the name"))?;
        let (name, content) = (&value[..colon], &value[colon + 1..]);
        if !name.starts_with(b"X-") {
            return Err(malformed("the name does not begin with X-"));
        }
        if name.len() > usize::from(u8::MAX) {
            return Err(malformed("the name is longer than 255 bytes"));
        }
        if content.is_empty() {
            return Err(malformed("nothing behind the colon"));
        }
        options.metadata.entry(name.to_vec()).or_insert_with(|| content.to_vec());
        Ok(())
    }

    fn exactly<const N: usize>(&self, value: &[u8]) -> Result<[u8; N], OptionError> {
        value.try_into().map_err(|_| OptionError::WrongSize {
            name: self.name,
            min: N,
            max: N,
            actual: value.len(),
        })
    }

    fn check_length(&self, value: &[u8], min: usize, max: usize) -> Result<(), OptionError> {
        if (min..=max).contains(&value.len()) {
            return Ok(());
        }
        Err(OptionError::WrongSize { name: self.name, min, max, actual: value.len() })
    }

    fn check_key_length(&self, actual: usize, allowed: &[usize]) -> Result<(), OptionError> {
        if allowed.contains(&actual) {
            return Ok(());
        }
        Err(OptionError::WrongSize { name: self.name, min: KEY_LEN, max: Z85_KEY_LEN + 1, actual })
    }

    fn out_of_range(&self, value: i32, min: i32, max: i32) -> OptionError {
        OptionError::OutOfRange { name: self.name, value: value.into(), min: min.into(), max: max.into() }
    }

    fn write_exactly(&self, out: &mut [u8], value: &[u8]) -> Result<usize, OptionError> {
        if out.len() > value.len() {
            let size = value.len();
            return Err(OptionError::WrongSize { name: self.name, min: size, max: size, actual: out.len() });
        }
        self.write_padded(out, value, 0)
    }

    /// Writes `value`, then zeros to the end of `out`, of which `nuls` belong to the value.
    fn write_padded(&self, out: &mut [u8], value: &[u8], nuls: usize) -> Result<usize, OptionError> {
        let needed = value.len() + nuls;
        if out.len() < needed {
            return Err(OptionError::BufferTooSmall { name: self.name, needed, actual: out.len() });
        }
        out[..value.len()].copy_from_slice(value);
        out[value.len()..].fill(0);
        Ok(needed)
    }
}

impl SocketAction {
    fn row(self) -> &'static OptionRow {
        super::ROWS
            .iter()
            .find(|row| matches!(row.kind, Kind::Live { action, .. } if action == self))
            .expect("a test shows that every action has its row")
    }

    /// Answers a question with an `int`.
    pub(crate) fn write_int(self, out: &mut [u8], value: i32) -> Result<usize, OptionError> {
        let row = self.row();
        match row.kind {
            Kind::Live { value: LiveValue::ExactInt, .. } => row.write_exactly(out, &value.to_ne_bytes()),
            _ => row.write_padded(out, &value.to_ne_bytes(), 0),
        }
    }

    /// Answers a question with a text, to which the closing NUL is added.
    pub(crate) fn write_text(self, out: &mut [u8], value: &str) -> Result<usize, OptionError> {
        self.row().write_padded(out, value.as_bytes(), 1)
    }
}
