use super::super::testing;
use super::*;
use zlink_pipe::{Cursor, Queue, QueueConfig};

type Parts = Vec<(Vec<u8>, bool)>;

fn half(framing: Framing, max: Option<u64>) -> ReadHalf {
    ReadHalf::new(framing, max, SocketType::Pub, 64)
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[flags, len], body].concat(),
        Err(_) => [&[flags | 2], &(body.len() as u64).to_be_bytes()[..], body].concat(),
    }
}

/// Feeds `bytes` in pieces of `step` and returns the parts that became visible.
fn decode(half: &mut ReadHalf, bytes: &[u8], step: usize) -> Result<(Parts, Vec<Notice>), DecodeError> {
    let queue = Queue::new(QueueConfig { hwm: 0, ..QueueConfig::default() });
    let (mut ready, mut notices) = (VecDeque::new(), Vec::new());
    for piece in bytes.chunks(step) {
        half.feed(piece, &mut ready, &mut notices)?;
    }
    let _ = queue.push_entries(&mut ready);
    let (mut cursor, mut parts) = (Cursor::new(), Vec::new());
    let _ = cursor.refill(&queue);
    while let Some(message) = cursor.next_message() {
        parts.push((message.to_vec(), message.more()));
    }
    Ok((parts, notices))
}

#[test]
fn every_cut_of_a_stream_gives_the_same_messages() {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (i, len) in [0, 1, 63, 64, 65, 255, 256, 300, 5, 20_000, 2, 70_000, 3].into_iter().enumerate() {
        let body = vec![i as u8; len];
        let more = i % 3 == 1;
        stream.extend(frame(u8::from(more), &body));
        expected.push((body, more));
    }
    for step in (1..400).chain([1000, 8192, stream.len()]) {
        let (parts, _) = decode(&mut half(Framing::V2, None), &stream, step).expect("valid frames");
        assert!(parts == expected, "in steps of {step}");
    }
}

#[test]
fn small_messages_that_nobody_takes_hold_no_buffer_each() {
    let mut reader = ReadHalf::new(Framing::V2, None, SocketType::Pull, 8192);
    let (mut ready, mut notices) = (VecDeque::new(), Vec::new());
    for _ in 0..1000 {
        reader.feed(&frame(0, b"x"), &mut ready, &mut notices).expect("valid frames");
    }
    assert_eq!(ready.iter().map(Entry::messages).sum::<usize>(), 1000);
    let held: usize = ready.into_iter().filter_map(Entry::into_buf).map(|buf| buf.capacity()).sum();
    assert!(held <= RECENT * 8192 + 1000 * 16, "{held} bytes");
}

#[test]
fn a_multipart_message_of_many_frames_stays_invisible_until_complete() {
    let mut reader = half(Framing::V2, None);
    let open = frame(1, b"part").repeat(10_000);
    assert!(decode(&mut reader, &open, 4096).expect("valid frames").0.is_empty());
    let (parts, _) = decode(&mut reader, &frame(0, b"end"), 3).expect("valid frames");
    assert_eq!((parts.len(), parts[9_999].1, parts[10_000].1), (10_001, true, false));
}

#[test]
fn commands_between_the_parts_of_a_message_do_not_cut_it() {
    let ping = frame(4, b"\x04PING\x00\x0actx");
    let subscribe = frame(4, b"\x09SUBSCRIBEnews");
    let stream = [frame(1, b"a"), ping, frame(1, &[7; 30_000]), subscribe, frame(0, b"z")].concat();
    for step in [1, 2, 7, 63, stream.len()] {
        let (parts, notices) = decode(&mut half(Framing::V2, None), &stream, step).expect("valid frames");
        let sizes: Vec<_> = parts.iter().map(|(body, more)| (body.len(), *more)).collect();
        assert_eq!(sizes, [(5, false), (1, true), (30_000, true), (1, false)]);
        assert_eq!(parts[0].0, b"\x01news");
        assert_eq!(notices, [Notice::Ping { ttl_deciseconds: 10, context: b"ctx".to_vec() }]);
    }
}

#[test]
fn zmtp_1_frames_become_the_pipes_frames() {
    let mut stream = vec![6, 1];
    stream.extend(b"first");
    stream.extend([0xff, 0, 0, 0, 0, 0, 0, 0x4e, 0x21, 0]); // 20 000 bytes and the flags
    stream.extend(vec![9; 20_000]);
    stream.extend([1, 0]);
    for step in [1, 5, 64, 4096, stream.len()] {
        let (parts, _) = decode(&mut half(Framing::V1, None), &stream, step).expect("valid frames");
        let expected = [(b"first".to_vec(), true), (vec![9; 20_000], false), (vec![], false)];
        assert!(parts == expected, "in steps of {step}");
    }
}

#[test]
fn a_length_announced_takes_no_memory() {
    let mut reader = half(Framing::V2, None);
    let mut stream = vec![2];
    stream.extend((i64::MAX as u64).to_be_bytes());
    stream.extend([0; 1000]);
    assert!(decode(&mut reader, &stream, 100).expect("nothing wrong so far").0.is_empty());
    let held = reader.large.as_ref().map(|large| large.body.capacity());
    assert_eq!(held, Some(TRUSTED));
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_its_body_arrives() {
    for (len, framing, stream) in [
        (101, Framing::V2, vec![0, 101]),
        (u64::MAX, Framing::V2, [&[2][..], &u64::MAX.to_be_bytes()].concat()),
        (101, Framing::V1, vec![102]),
    ] {
        match decode(&mut half(framing, Some(100)), &stream, 1) {
            Err(DecodeError::Frame(FrameError::TooLarge { size, max: 100 })) => assert_eq!(size, len),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("accepted {len} bytes"),
        }
    }
}

#[test]
fn buffers_grow_with_traffic_and_are_reused() {
    let mut reader = half(Framing::V2, None);
    for _ in 0..20 {
        decode(&mut reader, &frame(0, &[1; 60]).repeat(5000), 1 << 20).expect("valid frames");
    }
    assert!(reader.next_size > 100_000, "{}", reader.next_size);
    for _ in 0..40 {
        decode(&mut reader, &frame(0, b"small"), 1 << 20).expect("valid frames");
    }
    assert_eq!(reader.next_size, 64);
}

#[test]
fn buffers_are_the_smaller_the_more_connections_there_are() {
    let mut reader = half(Framing::V2, None);
    let mut grown_to = |connections: usize| {
        reader.set_company(connections);
        for _ in 0..20 {
            decode(&mut reader, &frame(0, &[1; 60]).repeat(5000), 1 << 20).expect("valid frames");
        }
        reader.next_size
    };
    assert_eq!(
        [0, 1, 16, 64, 10_000, 64, 1].map(&mut grown_to).map(|bytes| bytes >> 10),
        [256, 256, 192, 48, 16, 48, 256]
    );
}

#[test]
fn joins_and_leaves_are_messages_for_a_radio_only() {
    let stream = [frame(4, b"\x04JOINtv"), frame(4, b"\x05LEAVEtv"), frame(4, b"\x04JOIN")].concat();
    let mut radio = ReadHalf::new(Framing::V2, None, SocketType::Radio, 64);
    let (parts, _) = decode(&mut radio, &stream, 1).expect("valid frames");
    assert_eq!(parts, [(b"\x01tv".to_vec(), false), (b"\0tv".to_vec(), false), (b"\x01".to_vec(), false)]);
    assert!(decode(&mut half(Framing::V2, None), &stream, 1).expect("valid frames").0.is_empty());
    let long = frame(4, &[b"\x04JOIN", &[b'x'; 256][..]].concat());
    assert!(matches!(decode(&mut radio, &long, 1), Err(DecodeError::Command)));
}

/// A stream of sealed frames, each given by more, command and body; and who opens them.
fn sealed(frames: &[(bool, bool, Vec<u8>)]) -> (Vec<u8>, ReadHalf) {
    let (mut ours, theirs) = testing::ciphers();
    let mut stream = Vec::new();
    for (more, command, body) in frames {
        let mut bytes = Vec::new();
        ours.sealer.seal(*more, *command, body, &mut bytes).expect("seals");
        stream.extend(frame(0, &bytes));
    }
    (stream, half(Framing::V2, None).with_opener(Some(theirs.opener)))
}

#[test]
fn every_cut_of_a_sealed_stream_gives_the_same_messages() {
    let sizes = [0, 1, 63, 64, 222, 223, 255, 256, 5, 20_000, 2, 70_000, 3];
    let frames: Vec<_> =
        sizes.into_iter().enumerate().map(|(i, len)| (i % 3 == 1, false, vec![i as u8; len])).collect();
    let expected: Parts = frames.iter().map(|(more, _, body)| (body.clone(), *more)).collect();
    for step in (1..100).step_by(7).chain([301, 1000, 8192, 200_000]) {
        let (stream, mut half) = sealed(&frames);
        let (parts, _) = decode(&mut half, &stream, step).expect("valid frames");
        assert!(parts == expected, "in steps of {step}");
    }
}

#[test]
fn sealed_commands_do_not_cut_a_message() {
    let frames = [
        (true, false, b"a".to_vec()),
        (false, true, b"\x04PING\x00\x0actx".to_vec()),
        (true, false, vec![7; 30_000]),
        (false, true, b"\x09SUBSCRIBEnews".to_vec()),
        // Large enough for storage of its own.
        (false, true, [b"\x09SUBSCRIBE", &[3; 20_000][..]].concat()),
        (false, false, b"z".to_vec()),
    ];
    for step in [1, 7, 63, 100_000] {
        let (stream, mut half) = sealed(&frames);
        let (parts, notices) = decode(&mut half, &stream, step).expect("valid frames");
        let sizes: Vec<_> = parts.iter().map(|(body, more)| (body.len(), *more)).collect();
        assert_eq!(sizes, [(5, false), (20_001, false), (1, true), (30_000, true), (1, false)]);
        assert_eq!(notices, [Notice::Ping { ttl_deciseconds: 10, context: b"ctx".to_vec() }]);
    }
}

#[test]
fn a_changed_frame_ends_a_sealed_stream_and_those_before_it_count() {
    let frames = [(false, false, b"one".to_vec()), (false, false, b"two".to_vec())];
    let (stream, _) = sealed(&frames);
    for at in stream.len() / 2 + 2..stream.len() {
        let (mut stream, mut half) = sealed(&frames);
        stream[at] ^= 1;
        let (mut ready, mut notices) = (VecDeque::new(), Vec::new());
        let error = half.feed(&stream, &mut ready, &mut notices).expect_err("changed");
        assert!(matches!(error, DecodeError::Cipher(_)), "{error:?}");
        assert_eq!(ready.iter().map(Entry::messages).sum::<usize>(), 1);
    }
}

#[test]
fn nothing_goes_unsealed_where_frames_are_sealed() {
    for plain in
        [frame(0, b"secret?"), frame(4, b"\x04PING\x00\x00"), frame(1, &[1; 300]), frame(0, &[9; 20_000])]
    {
        let (_, mut half) = sealed(&[]);
        assert!(matches!(decode(&mut half, &plain, plain.len()), Err(DecodeError::Cipher(_))));
    }
}

/// As in libzmq: what counts is what is on the wire.
#[test]
fn the_longest_message_is_that_much_shorter_in_a_box() {
    for (max, fits) in [(100, true), (99, false)] {
        let (stream, mut half) = sealed(&[(false, false, vec![1; 67])]);
        half.max_body = max;
        assert_eq!(decode(&mut half, &stream, stream.len()).is_ok(), fits, "{max}");
    }
}
