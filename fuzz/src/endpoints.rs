use zlink::fuzzing::endpoint;

/// Endpoint strings: what is accepted displays as it was given, and is accepted again.
pub fn endpoints(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for bind in [false, true] {
        match endpoint(&text, bind) {
            Ok((shown, inproc)) => {
                // All that begin with the wildcard are the wildcard, as in libzmq.
                let wildcard = shown == "ipc://*" && bind && text.starts_with("ipc://*");
                // Where no path is asked for, it is the root.
                let root = text.starts_with("ws") && shown.strip_suffix('/') == Some(&*text);
                assert!(shown == text || wildcard || root, "{shown} of {text}");
                assert_eq!(inproc, text.starts_with("inproc://"));
                assert_eq!(endpoint(&shown, bind).ok(), Some((shown, inproc)));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
