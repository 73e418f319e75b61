use zlink::z85;

/// Any text decodes to bytes whose text it is, or does not decode; any bytes come back from their text.
pub fn z85(data: &[u8]) {
    let text = &data[..data.len() / 5 * 5];
    let mut bytes = vec![0; text.len() / 5 * 4];
    if z85::decode(text, &mut bytes).is_some() {
        let mut again = vec![0; text.len()];
        z85::encode(&bytes, &mut again);
        assert_eq!(again, text);
    }
    let bytes = &data[..data.len() / 4 * 4];
    let mut text = vec![0; bytes.len() / 4 * 5];
    z85::encode(bytes, &mut text);
    let mut again = vec![0; bytes.len()];
    assert_eq!(z85::decode(&text, &mut again), Some(()));
    assert_eq!(again, bytes);
}
