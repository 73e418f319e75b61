use zlink::fuzzing::through_proxy;

use crate::input::Input;

/// The longest answers: method, authentication, and a reply with a name of 255 bytes.
const LONGEST: usize = 2 + 2 + 4 + 1 + 255 + 2;

/// What a SOCKS proxy answers: the same comes of it however it is cut, and no byte behind it is read.
pub fn socks(data: &[u8]) {
    let mut input = Input(data);
    let named = input.flag();
    let answers = input.0;
    let (said, read, outcome) = through_proxy(named, answers, usize::MAX);
    assert!(read <= answers.len().min(LONGEST));
    let offer = [5, 1, if named { 2 } else { 0 }];
    assert!(said.starts_with(&offer));
    if let Ok(true) = outcome {
        assert!(answers[0] == 5 && said.ends_with(b"\x05\x01\x00\x03\x04peer\x15\xB3"));
        for cut in 0..read {
            assert!(matches!(through_proxy(named, &answers[..cut], 1).2, Ok(false)), "it stood before");
        }
    }
    for step in [1, 2, 3, 7] {
        let (cut_said, cut_read, cut_outcome) = through_proxy(named, answers, step);
        assert_eq!(cut_said, said);
        match (cut_outcome, &outcome) {
            (Ok(cut), Ok(whole)) => assert_eq!((cut, cut_read), (*whole, read)),
            // What is wrong may be seen before the rest has come.
            (Err(cut), Err(whole)) => {
                assert!(cut_read <= read);
                assert!(!cut.to_string().is_empty() && !whole.to_string().is_empty());
            }
            _ => panic!("the cut changed the outcome"),
        }
    }
}
