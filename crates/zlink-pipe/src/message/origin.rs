//! What a message says beside its body: where it came from, and whom it is for.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;

use super::Message;

/// The longest group name, in bytes (`ZMQ_GROUP_MAX_LENGTH`).
pub const MAX_GROUP_LEN: usize = 255;

/// Properties of the connection a message came from, by name (`Peer-Address`, `Socket-Type`, …).
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// Names and values, each value with a zero byte behind it.
    list: Vec<(String, String)>,
    /// The group of the one message whose properties these are: few messages have one, so that it has no place
    /// in the message itself.
    group: Option<Group>,
}

/// A message's group, and what its connection is known by.
#[derive(Clone, Debug)]
struct Group {
    name: CString,
    connection: Option<Arc<Properties>>,
}

impl Properties {
    /// The value with its zero byte.
    fn find(&self, name: &str) -> Option<&str> {
        let connection = self.group.as_ref().and_then(|group| group.connection.as_ref());
        let list = connection.map_or(&self.list, |connection| &connection.list);
        list.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl From<Vec<(String, String)>> for Properties {
    fn from(mut list: Vec<(String, String)>) -> Self {
        list.iter_mut().for_each(|(_, value)| value.push('\0'));
        Properties { list, group: None }
    }
}

/// Why bytes are no group name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// They are more than [`MAX_GROUP_LEN`].
    TooLong {
        /// How many they are.
        len: usize,
    },
    /// One of them is zero.
    HasNul,
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupError::TooLong { len } => {
                write!(f, "a group name of {len} bytes exceeds the limit of {MAX_GROUP_LEN}")
            }
            GroupError::HasNul => f.write_str("a group name contains a zero byte"),
        }
    }
}

impl std::error::Error for GroupError {}

/// The bytes as the name of a group.
///
/// # Errors
///
/// [`GroupError`] if they are not one.
pub fn group_name(bytes: &[u8]) -> Result<CString, GroupError> {
    if bytes.len() > MAX_GROUP_LEN {
        return Err(GroupError::TooLong { len: bytes.len() });
    }
    CString::new(bytes).map_err(|_| GroupError::HasNul)
}

impl Message {
    /// The routing id that SERVER and PEER sockets tell connections apart by; 0 if there is none. Set on what
    /// they receive.
    ///
    /// Source: `zmq_msg_routing_id`(3).
    pub fn routing_id(&self) -> u32 {
        self.routing_id
    }

    /// Sets the routing id, which names the peer that a SERVER or PEER sends the message to. 0 means none.
    ///
    /// Source: `zmq_msg_set_routing_id`(3).
    pub fn set_routing_id(&mut self, id: u32) {
        self.routing_id = id;
    }

    /// The group that a RADIO sends the message to, or a DISH received it from. Empty unless set.
    ///
    /// Source: `zmq_msg_group`; 48/RADIO-DISH.
    pub fn group(&self) -> &[u8] {
        self.group_text().to_bytes()
    }

    /// As [`group`](Self::group), with the zero byte behind it that the C interface needs.
    pub fn group_text(&self) -> &CStr {
        let group = self.properties.as_ref().and_then(|properties| properties.group.as_ref());
        group.map_or(c"", |group| &group.name)
    }

    /// Sets the group, which a RADIO sends the message to: up to 255 bytes ([`MAX_GROUP_LEN`]), none of them zero.
    ///
    /// # Errors
    ///
    /// [`GroupError`] if `group` is not such a name; the message keeps the group it has.
    ///
    /// Source: `zmq_msg_set_group`; 48/RADIO-DISH.
    pub fn set_group(&mut self, group: impl AsRef<[u8]>) -> Result<(), GroupError> {
        let name = group_name(group.as_ref())?;
        let connection = self.properties.take().and_then(|properties| match &properties.group {
            Some(group) => group.connection.clone(),
            None => Some(properties),
        });
        let properties = Properties { list: Vec::new(), group: Some(Group { name, connection }) };
        self.properties = Some(Arc::new(properties));
        Ok(())
    }

    /// A property of the connection that the message came from.
    ///
    /// Source: `zmq_msg_gets`(3).
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.as_ref()?.find(name)?.strip_suffix('\0')
    }

    /// As [`property`](Self::property), for C: up to the first zero byte. It stays where it is for as long as the
    /// message or the connection lives.
    pub fn property_text(&self, name: &str) -> Option<&CStr> {
        CStr::from_bytes_until_nul(self.properties.as_ref()?.find(name)?.as_bytes()).ok()
    }

    /// Attaches the properties of the connection that the message came from. Whatever else the message was known
    /// by before, its group and its routing id, is forgotten.
    #[inline]
    pub fn set_properties(&mut self, properties: Option<&Arc<Properties>>) {
        // Who receives into the same message again and again finds them there: no need to count.
        if self.properties.as_ref().map(Arc::as_ptr) != properties.map(Arc::as_ptr) {
            self.properties = properties.cloned();
        }
        // Looked at first, since a store costs more, and only SERVER and PEER set one.
        if self.routing_id != 0 {
            self.routing_id = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<Properties> {
        Arc::new(vec![("Socket-Type".to_owned(), "RADIO".to_owned())].into())
    }

    #[test]
    fn a_group_is_kept_with_the_connections_properties() {
        let mut message = Message::from("body");
        assert_eq!((message.group(), message.group_text()), (&b""[..], c""));
        for group in [&b"first"[..], b"", &[b'x'; MAX_GROUP_LEN]] {
            message.set_properties(Some(&connection()));
            message.set_group(b"other").unwrap();
            message.set_group(group).unwrap();
            let copy = message.clone();
            assert_eq!((copy.group(), copy.group_text().to_bytes()), (group, group));
            assert_eq!((copy.property("socket-type"), copy.property("Identity")), (Some("RADIO"), None));
        }
        assert_eq!(&*message, b"body");
    }

    #[test]
    fn a_name_that_is_none_leaves_the_group_alone() {
        let mut message = Message::new();
        message.set_group("kept").unwrap();
        assert_eq!(message.set_group([b'x'; 256]), Err(GroupError::TooLong { len: 256 }));
        assert_eq!(message.set_group(b"a\0b"), Err(GroupError::HasNul));
        assert_eq!(message.group(), b"kept");
    }

    #[test]
    fn a_connections_properties_replace_group_and_routing_id() {
        let (mut message, connection) = (Message::new(), connection());
        message.set_properties(Some(&connection));
        message.set_group("gone").unwrap();
        message.set_routing_id(7);
        message.set_properties(Some(&connection));
        assert_eq!((message.group(), message.routing_id()), (&b""[..], 0));
        assert_eq!(message.property("Socket-Type"), Some("RADIO"));
        message.set_routing_id(7);
        message.set_properties(None);
        assert_eq!((message.routing_id(), message.property("Socket-Type")), (0, None));
    }
}
