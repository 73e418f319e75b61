//! What holds for every row of the table, and for the few options with rules of their own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use zlink_zmtp::SocketType;

use super::accessors::{duration_to_int, int_to_duration, text_from_bytes};
use super::context::{self, ContextOptions};
use super::row::LiveValue;
use super::*;
use crate::reactor::Scheduling;

/// A socket type that takes the option.
fn taker(row: &OptionRow) -> SocketType {
    *row.sockets.first().unwrap_or(&SocketType::Dealer)
}

fn read(options: &SocketOptions, row: &OptionRow, size: usize) -> Result<Vec<u8>, OptionError> {
    let mut out = vec![0xA5; size];
    match get(options, taker(row), row.id, &mut out)? {
        Fetched::Written(length) => out.truncate(length),
        Fetched::Live(action) => panic!("{}: {action:?} is for the socket to answer", row.name),
    }
    Ok(out)
}

fn read_int(options: &SocketOptions, row: &OptionRow) -> i32 {
    i32::from_ne_bytes(read(options, row, 4).expect("readable").try_into().expect("4 bytes"))
}

fn store(options: &mut SocketOptions, row: &OptionRow, value: &[u8]) -> Result<Applied, OptionError> {
    set(options, taker(row), row.id, value)
}

/// The lengths in bytes that a value of the option may have.
fn lengths(row: &OptionRow) -> (usize, usize) {
    match row.kind {
        Kind::Int { .. } | Kind::Flag { .. } => (4, 4),
        Kind::Word { .. } | Kind::Long { .. } => (8, 8),
        Kind::Bytes { min, max, .. } | Kind::Live { value: LiveValue::Bytes { min, max }, .. } => (min, max),
        Kind::Text { min, max, .. } => (min, max),
        // And nothing between them but 40: there is a test of its own.
        Kind::Key { .. } => (32, 41),
        // The shortest is `X-:v`, but 4 bytes are never taken.
        Kind::Metadata => (5, usize::MAX),
        Kind::Collected { .. } => (0, 255),
        Kind::Live { .. } => (usize::MAX, usize::MAX),
    }
}

/// The options of this build.
fn rows() -> impl Iterator<Item = &'static OptionRow> {
    ROWS.iter().filter(|row| is_built_in(row.id))
}

#[test]
fn numbers_and_names_and_methods_are_given_once() {
    let numbers: BTreeSet<_> = ROWS.iter().map(|row| row.id).collect();
    let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!((numbers.len(), names.len()), (ROWS.len(), ROWS.len()));
    let methods: Vec<_> = ROWS.iter().flat_map(|row| row.methods).collect();
    assert_eq!(methods.iter().collect::<BTreeSet<_>>().len(), methods.len());
    for (name, number) in NOT_BUILT_IN {
        assert!(
            !names.contains(name) && !numbers.contains(number),
            "{name} is both refused and in the table"
        );
    }
}

#[test]
fn every_number_of_libzmq_is_either_in_the_table_or_listed_as_refused() {
    // 67, 82 and 83 were never given, nor were those below 34 that are missing here.
    let given = (4..=9)
        .chain(11..=19)
        .chain(21..=25)
        .chain([27, 28, 31])
        .chain(32..=66)
        .chain(68..=81)
        .chain(84..=124);
    // ZMQ_BLOCKY is an option of contexts only.
    for number in given.filter(|number| *number != 70) {
        let refused = NOT_BUILT_IN.iter().any(|&(_, refused)| refused == number);
        assert!(refused ^ lookup(number).is_some(), "option {number}");
    }
}

#[test]
fn defaults_read_back_as_the_manual_shows_them() {
    let options = SocketOptions::default();
    for row in rows() {
        match row.kind {
            Kind::Int { load, .. } => assert_eq!(load(&options).to_string(), row.default, "{}", row.name),
            Kind::Flag { load, .. } if row.id != id::IPV4ONLY => {
                assert_eq!(load(&options).to_string(), row.default, "{}", row.name);
            }
            Kind::Word { load, .. } => assert_eq!(load(&options).to_string(), row.default, "{}", row.name),
            Kind::Long { load, .. } => assert_eq!(load(&options).to_string(), row.default, "{}", row.name),
            Kind::Bytes { load, .. } | Kind::Text { load, .. } => {
                assert_eq!((load(&options), row.default), (b"".as_slice(), "none"), "{}", row.name);
            }
            _ => {}
        }
    }
}

#[test]
fn integers_are_taken_at_both_ends_of_the_range_and_refused_beyond() {
    for row in rows() {
        let Some((min, max)) = row.range() else { continue };
        let mut options = SocketOptions::default();
        for value in [min, max] {
            assert_eq!(
                store(&mut options, row, &value.to_ne_bytes()),
                Ok(Applied::Stored),
                "{} {value}",
                row.name
            );
            // Only the heartbeat's TTL is kept in coarser steps.
            let kept = if row.id == id::HEARTBEAT_TTL { value / 100 * 100 } else { value };
            assert_eq!(read_int(&options, row), kept, "{}", row.name);
        }
        let before = options.clone();
        for value in [min.checked_sub(1), max.checked_add(1)].into_iter().flatten() {
            let expected = OptionError::OutOfRange {
                name: row.name,
                value: value.into(),
                min: min.into(),
                max: max.into(),
            };
            assert_eq!(store(&mut options, row, &value.to_ne_bytes()), Err(expected));
            assert_eq!(options, before, "{}: a refused value changes nothing", row.name);
        }
    }
}

#[test]
fn truth_values_follow_the_rule_of_their_row() {
    use super::row::FlagRule;
    for row in rows() {
        let Kind::Flag { rule, load, .. } = row.kind else { continue };
        let mut options = SocketOptions::default();
        for (value, valid) in [
            (0, true),
            (1, true),
            (2, rule != FlagRule::Strict),
            (i32::MAX, rule != FlagRule::Strict),
            (-1, rule == FlagRule::Any),
            (i32::MIN, rule == FlagRule::Any),
        ] {
            assert_eq!(
                store(&mut options, row, &i32::to_ne_bytes(value)).is_ok(),
                valid,
                "{} {value}",
                row.name
            );
            if valid {
                assert_eq!(load(&options), value != 0, "{} {value}", row.name);
            }
        }
    }
}

#[test]
fn values_of_a_wrong_length_are_refused() {
    for row in rows().filter(|row| row.writable) {
        let (min, max) = lengths(row);
        let mut options = SocketOptions { xpub_manual: true, ..Default::default() };
        let before = options.clone();
        let wrong =
            [0, 1, 3, 4, 5, 7, 8, 9, 16, 17, 255, 256].into_iter().filter(|size| !(min..=max).contains(size));
        for size in wrong {
            assert!(store(&mut options, row, &vec![0; size]).is_err(), "{} of {size} bytes", row.name);
            assert_eq!(options, before, "{}", row.name);
        }
    }
}

#[test]
fn bytes_and_text_read_back_as_set() {
    for row in rows() {
        let Kind::Bytes { min, max, load, .. } = row.kind else { continue };
        let mut options = SocketOptions::default();
        for size in [min, min + 1, max.min(300)] {
            let value: Vec<u8> = (0..size).map(|at| at as u8).collect();
            assert_eq!(store(&mut options, row, &value), Ok(Applied::Stored), "{}", row.name);
            assert_eq!(load(&options), value);
            if row.readable && size > 0 {
                assert_eq!(read(&options, row, 300), Ok(value), "{}", row.name);
                let needed = OptionError::BufferTooSmall { name: row.name, needed: size, actual: size - 1 };
                assert_eq!(read(&options, row, size - 1), Err(needed));
            }
        }
    }
    let row = lookup(id::BINDTODEVICE).expect("in the table");
    let mut options = SocketOptions::default();
    assert_eq!((options.device(), read(&options, row, 1)), (None, Ok(vec![0])));
    for name in [b"eth0".as_slice(), b"eth0\0"] {
        store(&mut options, row, name).expect("a device name");
        assert_eq!(options.device(), Some(b"eth0".as_slice()));
        assert_eq!(read(&options, row, 16), Ok([name, b"\0"].concat()));
    }
    store(&mut options, row, b"").expect("no device");
    assert_eq!(options.device(), None);
}

#[test]
fn what_lies_behind_a_short_value_in_the_buffer_is_zeroed() {
    let mut options = SocketOptions::default();
    set(&mut options, SocketType::Req, id::ROUTING_ID, b"me").expect("a routing id");
    let mut out = [0xA5; 6];
    assert_eq!(get(&options, SocketType::Req, id::ROUTING_ID, &mut out), Ok(Fetched::Written(2)));
    assert_eq!(&out, b"me\0\0\0\0");
}

#[test]
fn numbers_are_read_into_a_buffer_of_their_size_only() {
    let options = SocketOptions::default();
    for row in rows().filter(|row| row.readable) {
        let size = match row.kind {
            Kind::Int { .. } | Kind::Flag { .. } => 4,
            Kind::Word { .. } | Kind::Long { .. } => 8,
            _ => continue,
        };
        assert_eq!(read(&options, row, size).map(|value| value.len()), Ok(size), "{}", row.name);
        for wrong in [0, 1, 3, 5, 7, 9, 12 - size] {
            assert!(read(&options, row, wrong).is_err(), "{} read into {wrong} bytes", row.name);
        }
    }
}

#[test]
fn options_are_taken_by_the_socket_types_of_their_row_and_no_others() {
    for row in rows() {
        for socket_type in SocketType::ALL {
            let refused = Err(OptionError::WrongSocketType { name: row.name, socket_type });
            let mut options = SocketOptions { xpub_manual: true, ..Default::default() };
            if row.writable {
                let accepted = set(&mut options, socket_type, row.id, &1i32.to_ne_bytes()) != refused;
                assert_eq!(accepted, row.accepts(socket_type), "{} on {socket_type:?}", row.name);
            }
            if row.readable {
                let refused = Err(OptionError::WrongSocketType { name: row.name, socket_type });
                let accepted = get(&options, socket_type, row.id, &mut [0; 4]) != refused;
                let expected = row.accepts(socket_type) || row.id == id::ROUTER_NOTIFY;
                assert_eq!(accepted, expected, "{} on {socket_type:?}", row.name);
            }
        }
    }
}

#[test]
fn unknown_and_one_way_options_are_refused() {
    let mut options = SocketOptions::default();
    for number in [i32::MIN, -1, 0, 3, 10, 125, 9_999, 10_004, i32::MAX] {
        let unknown = OptionError::Unknown { id: number };
        assert_eq!(set(&mut options, SocketType::Pair, number, &[0; 4]), Err(unknown.clone()));
        assert_eq!(get(&options, SocketType::Pair, number, &mut [0; 4]), Err(unknown));
    }
    for row in rows() {
        if !row.writable {
            assert_eq!(store(&mut options, row, &[0; 4]), Err(OptionError::ReadOnly { name: row.name }));
        }
        if !row.readable {
            assert_eq!(read(&options, row, 4), Err(OptionError::WriteOnly { name: row.name }));
        }
    }
}

#[test]
fn orders_to_the_socket_come_back_as_actions() {
    let mut options = SocketOptions::default();
    for (option, socket_type, action) in [
        (id::SUBSCRIBE, SocketType::Sub, SocketAction::Subscribe),
        (id::UNSUBSCRIBE, SocketType::Sub, SocketAction::Unsubscribe),
        (id::CONNECT_ROUTING_ID, SocketType::Router, SocketAction::ConnectRoutingId),
    ] {
        assert_eq!(set(&mut options, socket_type, option, b"abc"), Ok(Applied::Action(action)));
    }
    assert_eq!(options, SocketOptions::default());
}

#[test]
fn publishers_take_subscriptions_in_manual_mode_only() {
    for socket_type in [SocketType::Xpub, SocketType::Pub] {
        let mut options = SocketOptions::default();
        assert!(set(&mut options, socket_type, id::SUBSCRIBE, b"a").is_err());
        set(&mut options, socket_type, id::XPUB_MANUAL, &1i32.to_ne_bytes()).expect("manual mode");
        let action = Ok(Applied::Action(SocketAction::Subscribe));
        assert_eq!(set(&mut options, socket_type, id::SUBSCRIBE, b"a"), action);
    }
}

#[test]
fn every_question_can_be_answered_in_its_form() {
    let options = SocketOptions::default();
    for row in rows().filter(|row| row.readable) {
        let Kind::Live { action, value } = row.kind else { continue };
        let answer = |out: &mut [u8]| match get(&options, taker(row), row.id, out) {
            Ok(Fetched::Live(asked)) if asked == action && value == LiveValue::Text => {
                action.write_text(out, "x")
            }
            Ok(Fetched::Live(asked)) if asked == action => action.write_int(out, 5),
            Ok(Fetched::Written(length)) => Ok(length),
            Ok(other) => panic!("{}: {other:?}", row.name),
            Err(error) => Err(error),
        };
        let (too_small, fitting) = if value == LiveValue::Text { (1, 2) } else { (3, 4) };
        assert!(answer(&mut [0; 8][..too_small]).is_err(), "{}", row.name);
        assert_eq!(answer(&mut [0; 8][..fitting]), Ok(fitting), "{}", row.name);
        assert_eq!(answer(&mut [0; 8]).is_ok(), value != LiveValue::ExactInt, "{}", row.name);
    }
    let mut out = [0; 4];
    assert_eq!(get(&options, SocketType::Router, id::TYPE, &mut out), Ok(Fetched::Written(4)));
    assert_eq!(i32::from_ne_bytes(out), 6);
}

#[test]
fn verbose_and_verboser_set_each_other() {
    let mut options = SocketOptions::default();
    let mut verbosity = |option, value| {
        set(&mut options, SocketType::Xpub, option, &i32::to_ne_bytes(value)).expect("a truth value");
        (options.xpub_verbose, options.xpub_verboser)
    };
    assert_eq!(verbosity(id::XPUB_VERBOSER, 1), (true, true));
    assert_eq!(verbosity(id::XPUB_VERBOSE, 1), (true, false));
    assert_eq!(verbosity(id::XPUB_VERBOSER, 1), (true, true));
    assert_eq!(verbosity(id::XPUB_VERBOSER, 0), (false, false));
}

#[test]
fn the_old_name_of_ipv6_is_its_opposite() {
    let mut options = SocketOptions::default();
    set(&mut options, SocketType::Pair, id::IPV4ONLY, &0i32.to_ne_bytes()).expect("a truth value");
    assert!(options.ipv6);
    let mut out = [0xA5; 4];
    get(&options, SocketType::Pair, id::IPV4ONLY, &mut out).expect("readable");
    assert_eq!(out, [0; 4]);
}

#[test]
fn accept_filters_are_collected_until_taken_back() {
    let mut options = SocketOptions::default();
    let set = |options: &mut _, id, value: &[u8]| set(options, SocketType::Pair, id, value);
    for network in [&b"10.0.0.0/8"[..], b"127.0.0.1\0"] {
        assert_eq!(set(&mut options, id::TCP_ACCEPT_FILTER, network), Ok(Applied::Stored));
    }
    for refused in [&b"10.0.0.0/33"[..], b"::1", b"host", &[b'1'; 256]] {
        assert!(set(&mut options, id::TCP_ACCEPT_FILTER, refused).is_err());
    }
    assert_eq!(options.tcp_accept_filter.len(), 2);
    set(&mut options, id::IPV6, &1i32.to_ne_bytes()).expect("a truth value");
    set(&mut options, id::TCP_ACCEPT_FILTER, b"::1").expect("a network of IPv6");
    set(&mut options, id::TCP_ACCEPT_FILTER, b"").expect("nothing");
    assert!(options.tcp_accept_filter.is_empty());
    for filter in [id::IPC_FILTER_UID, id::IPC_FILTER_GID, id::IPC_FILTER_PID] {
        for value in [&[1u8; 3][..], &[1; 5], &[1; 8]] {
            assert!(set(&mut options, filter, value).is_err());
        }
        for value in [7u32, 8, 7] {
            assert_eq!(set(&mut options, filter, &value.to_ne_bytes()), Ok(Applied::Stored));
        }
    }
    assert_eq!(options.ipc_filter_uid, BTreeSet::from([7, 8]));
    set(&mut options, id::IPC_FILTER_UID, b"").expect("nothing");
    assert_eq!(
        (options.ipc_filter_uid.len(), options.ipc_filter_gid.len(), options.ipc_filter_pid.len()),
        (0, 2, 2)
    );
    assert!(get(&options, SocketType::Pair, id::IPC_FILTER_UID, &mut [0; 4]).is_err());
}

#[test]
fn metadata_is_collected_and_checked() {
    let mut options = SocketOptions::default();
    let mut add = |value: &[u8]| set(&mut options, SocketType::Pair, id::METADATA, value);
    for valid in [
        b"X-a:first".as_slice(),
        b"X-a:second",
        b"X-b:1:2",
        &[b"X-".as_slice(), &[b'n'; 253], b":v"].concat(),
    ] {
        assert_eq!(add(valid), Ok(Applied::Stored), "{valid:?}");
    }
    let long = [b"X-".as_slice(), &[b'n'; 254], b":v"].concat();
    for invalid in
        [b"".as_slice(), b"X-:v", b"Name:value", b"X-name", b"X-name:", b":value", b"x-name:v", &long]
    {
        assert!(add(invalid).is_err(), "{invalid:?}");
    }
    assert_eq!(options.metadata.len(), 3);
    assert_eq!(options.metadata[b"X-a".as_slice()], b"first");
    assert_eq!(options.metadata[b"X-b".as_slice()], b"1:2");
}

#[test]
fn the_environment_wins_over_the_option_and_the_default() {
    let variables: Vec<_> = ROWS.iter().filter_map(|row| Some((row, row.variable?))).collect();
    assert_eq!(variables.len(), 4);
    for &(row, variable) in &variables {
        let read_variable = |name: &str| (name == variable).then(|| OsString::from(" 1 "));
        let mut options = SocketOptions::with_environment(read_variable).expect("1 is valid for each");
        assert_eq!(read_int(&options, row), 1, "{variable}");
        assert_eq!(
            store(&mut options, row, &0x40i32.to_ne_bytes()).is_ok(),
            row.id != id::ASIO_WRITE_BATCHING
        );
        assert!(store(&mut options, row, &(-2i32).to_ne_bytes()).is_err(), "{variable}: still checked");
        assert_eq!(read_int(&options, row), 1, "{variable}: fixed");
        for &(other, _) in variables.iter().filter(|(other, _)| other.id != row.id) {
            assert_eq!(read_int(&options, other).to_string(), other.default, "{variable} is one option's");
        }
    }
}

#[test]
fn an_environment_without_our_variables_leaves_the_options_settable() {
    let mut options = SocketOptions::with_environment(|_| None).expect("nothing to be wrong");
    assert_eq!(options, SocketOptions::default());
    set(&mut options, SocketType::Pair, id::ASIO_WRITE_BATCHING, &1i32.to_ne_bytes()).expect("in range");
    assert_eq!(options.write_batching, 1);
}

#[test]
fn an_environment_variable_that_is_no_valid_number_is_an_error() {
    for text in ["", "yes", "2", "-2", "1.0", "99999999999", "1;2"] {
        let read_variable = |name: &str| (name == "ZLINK_ASIO_WRITE_BATCHING").then(|| OsString::from(text));
        let error = SocketOptions::with_environment(read_variable).expect_err(text);
        let variable = "ZLINK_ASIO_WRITE_BATCHING";
        assert_eq!(error, OptionError::Environment { variable, value: text.to_owned(), min: -1, max: 1 });
        assert!(error.to_string().contains(variable));
    }
}

#[test]
fn new_sockets_start_with_what_the_context_says() {
    let mut context = ContextOptions::default();
    let new = |socket_type, context: &ContextOptions| {
        SocketOptions::new(socket_type, context).expect("no variables")
    };
    assert_eq!((new(SocketType::Push, &context).linger, new(SocketType::Push, &context).ipv6), (-1, false));
    assert_eq!((new(SocketType::Sub, &context).linger, new(SocketType::Xsub, &context).linger), (0, 0));
    context::set(&mut context, context::id::BLOCKY, &0i32.to_ne_bytes()).expect("a truth value");
    context::set(&mut context, context::id::IPV6, &1i32.to_ne_bytes()).expect("a truth value");
    assert_eq!((new(SocketType::Push, &context).linger, new(SocketType::Push, &context).ipv6), (0, true));
}

#[test]
fn context_options_are_checked_and_read_back() {
    use context::id::*;
    let mut options = ContextOptions::default();
    let int = |value: i32| value.to_ne_bytes();
    for (option, default, min) in
        [(IO_THREADS, 1, 0), (MAX_SOCKETS, 1023, 1), (MAX_MSGSZ, i32::MAX, 0), (IPV6, 0, 0), (BLOCKY, 1, 0)]
    {
        let mut out = [0xA5; 4];
        assert_eq!((context::get(&options, option, &mut out), out), (Ok(4), int(default)), "option {option}");
        assert!(context::set(&mut options, option, &int(min - 1)).is_err(), "option {option}");
        assert!(context::set(&mut options, option, &[0; 8]).is_err(), "option {option}");
        assert!(context::get(&options, option, &mut [0; 8]).is_err(), "option {option}");
        context::set(&mut options, option, &int(min)).expect("the smallest value");
        assert_eq!((context::get(&options, option, &mut out), out), (Ok(4), int(min)), "option {option}");
    }
    for refused in [MSG_T_SIZE, 0, 11, -1] {
        assert!(context::set(&mut options, refused, &int(1)).is_err(), "option {refused}");
    }
    for (option, value) in
        [(SOCKET_LIMIT, 65_535), (MSG_T_SIZE, 64), (THREAD_SCHED_POLICY, -1), (ZERO_COPY_RECV, 1)]
    {
        let mut out = [0; 4];
        assert_eq!((context::get(&options, option, &mut out), out), (Ok(4), int(value)), "option {option}");
    }
}

#[test]
fn threads_of_a_context_have_a_policy_and_a_priority() {
    use context::id::*;
    let mut options = ContextOptions::default();
    assert_eq!(options.scheduling(), Scheduling::default());
    for option in [THREAD_SCHED_POLICY, THREAD_PRIORITY] {
        assert!(context::set(&mut options, option, &(-1i32).to_ne_bytes()).is_err());
        context::set(&mut options, option, &2i32.to_ne_bytes()).expect("not negative");
    }
    assert_eq!(
        options.scheduling(),
        Scheduling { policy: Some(2), priority: Some(2), ..Scheduling::default() }
    );
    let mut out = [0; 4];
    assert_eq!((context::get(&options, THREAD_SCHED_POLICY, &mut out), out), (Ok(4), 2i32.to_ne_bytes()));
}

#[test]
fn threads_of_a_context_have_processors_and_a_name() {
    use context::id::*;
    let mut options = ContextOptions::default();
    let add = |options: &mut _, cpu: i32| context::set(options, THREAD_AFFINITY_CPU_ADD, &cpu.to_ne_bytes());
    let remove =
        |options: &mut _, cpu: i32| context::set(options, THREAD_AFFINITY_CPU_REMOVE, &cpu.to_ne_bytes());
    assert_eq!((add(&mut options, 3), add(&mut options, 5)), (Ok(()), Ok(())));
    assert!(add(&mut options, -1).is_err() && remove(&mut options, 4).is_err());
    assert_eq!(remove(&mut options, 3), Ok(()));
    assert_eq!(options.thread_affinity, BTreeSet::from([5]));

    let mut out = [0; 16];
    context::set(&mut options, THREAD_NAME_PREFIX, b"worker").expect("a name");
    assert_eq!(context::get(&options, THREAD_NAME_PREFIX, &mut out), Ok(6));
    assert_eq!(&out[..6], b"worker");
    assert!(context::get(&options, THREAD_NAME_PREFIX, &mut out[..5]).is_err());
    context::set(&mut options, THREAD_NAME_PREFIX, &(-12i32).to_ne_bytes()).expect("a number");
    assert_eq!(options.thread_name_prefix, b"-12");
    let mut number = [0; 4];
    assert_eq!(context::get(&options, THREAD_NAME_PREFIX, &mut number), Ok(4));
    assert_eq!(i32::from_ne_bytes(number), -12);
    assert_eq!(options.io_thread_name(7), "-12/ZMQbg/IO/7");
    context::set(&mut options, THREAD_NAME_PREFIX, b"with a zero\0").expect("a name");
    assert_eq!(options.io_thread_name(7), "with a zero/ZMQbg/IO/7");
    assert!(context::set(&mut options, THREAD_NAME_PREFIX, &[b'x'; 17]).is_err());
    assert!(context::set(&mut options, THREAD_NAME_PREFIX, b"").is_err());
}

#[test]
fn durations_become_numbers_rounded_up_or_an_error() {
    let millisecond = Duration::from_millis(1);
    let convert = |duration| duration_to_int(id::LINGER, duration, millisecond);
    assert_eq!(convert(Duration::ZERO), Ok(0));
    assert_eq!(convert(Duration::from_nanos(1)), Ok(1));
    assert_eq!(convert(Duration::from_millis(i32::MAX as u64)), Ok(i32::MAX));
    let (name, min, max) = ("ZMQ_LINGER", -1, i32::MAX.into());
    let value = i64::from(i32::MAX) + 1;
    assert_eq!(
        convert(Duration::from_millis(value as u64)),
        Err(OptionError::OutOfRange { name, value, min, max })
    );
    assert!(convert(Duration::MAX).is_err());
    assert_eq!(int_to_duration(-1, millisecond), None);
    assert_eq!(int_to_duration(1500, millisecond), Some(Duration::from_millis(1500)));
    assert_eq!(text_from_bytes(b"tcp://x\0\0"), "tcp://x");
}

#[test]
fn every_error_is_einval_and_names_the_option() {
    let name = "ZMQ_LINGER";
    for error in [
        OptionError::WrongSize { name, min: 4, max: 4, actual: 3 },
        OptionError::OutOfRange { name, value: -2, min: -1, max: 7 },
        OptionError::BufferTooSmall { name, needed: 4, actual: 3 },
        OptionError::Malformed { name, reason: "no" },
        OptionError::ReadOnly { name },
        OptionError::WriteOnly { name },
        OptionError::WrongSocketType { name, socket_type: SocketType::Pair },
        OptionError::Unsupported { name },
    ] {
        assert_eq!(error.errno(), 22);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_reference_in_docs_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
    let expected = reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/ can be written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/options.md is there");
    assert!(
        found == expected,
        "docs/options.md is not up to date: UPDATE_DOCS=1 cargo test -p zlink-mq option"
    );
}

#[test]
fn keys_are_set_and_read_as_bytes_and_as_text() {
    let text = b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    let mut key = [0; 32];
    zlink_zmtp::z85::decode(text, &mut key).expect("the text of a key");
    let with_nul = [&text[..], b"\0"].concat();
    for id in [id::CURVE_PUBLICKEY, id::CURVE_SECRETKEY, id::CURVE_SERVERKEY] {
        let row = lookup(id).expect("in the table");
        for value in [&key[..], text, &with_nul] {
            let mut options = SocketOptions::default();
            assert_eq!(read(&options, row, 32), Ok(vec![0; 32]), "{} before it is set", row.name);
            assert_eq!(store(&mut options, row, value), Ok(Applied::Stored), "{}", row.name);
            assert_eq!(read(&options, row, 32), Ok(key.to_vec()));
            assert_eq!(read(&options, row, 41), Ok(with_nul.clone()));
            for size in (0..100).filter(|size| ![32, 41].contains(size)) {
                assert!(read(&options, row, size).is_err(), "{} into {size} bytes", row.name);
            }
            assert!(!format!("{options:?}").contains("rq:rM"), "keys are not shown");
        }
        let mut options = SocketOptions::default();
        let before = options.clone();
        let too_long = [&text[..], b"0"].concat();
        let sizes = (0..130).filter(|size| ![32, 40, 41].contains(size)).map(|size| vec![b'0'; size]);
        for value in sizes.chain([too_long, vec![b' '; 40], vec![b'#'; 41], vec![0; 40], vec![0; 41]]) {
            assert!(store(&mut options, row, &value).is_err(), "{} of {} bytes", row.name, value.len());
            assert_eq!(options, before);
        }
    }
}

#[test]
fn the_mechanism_is_the_one_whose_options_were_set_last() {
    let mut options = SocketOptions::default();
    let mut expect = |id: i32, value: &[u8], mechanism: i32, servers: (i32, i32)| {
        let row = lookup(id).expect("in the table");
        store(&mut options, row, value).expect("valid");
        let int = |id| read_int(&options, lookup(id).expect("in the table"));
        let read = (int(id::MECHANISM), (int(id::PLAIN_SERVER), int(id::CURVE_SERVER)));
        assert_eq!(read, (mechanism, servers), "after {}", row.name);
    };
    let (yes, no) = (1i32.to_ne_bytes(), 0i32.to_ne_bytes());
    expect(id::CURVE_SERVER, &yes, 2, (0, 1));
    expect(id::CURVE_SECRETKEY, &[1; 32], 2, (0, 1));
    expect(id::CURVE_SERVERKEY, &[1; 32], 2, (0, 0));
    expect(id::PLAIN_SERVER, &yes, 1, (1, 0));
    expect(id::CURVE_PUBLICKEY, &[1; 32], 2, (0, 1));
    expect(id::PLAIN_USERNAME, b"joe", 1, (0, 0));
    expect(id::CURVE_SERVER, &yes, 2, (0, 1));
    expect(id::CURVE_SERVER, &no, 0, (0, 0));
}

#[test]
fn options_of_gssapi_are_there_with_the_feature_only() {
    let ids = [
        id::GSSAPI_SERVER,
        id::GSSAPI_PRINCIPAL,
        id::GSSAPI_SERVICE_PRINCIPAL,
        id::GSSAPI_PLAINTEXT,
        id::GSSAPI_PRINCIPAL_NAMETYPE,
        id::GSSAPI_SERVICE_PRINCIPAL_NAMETYPE,
    ];
    for id in ids {
        let mut options = SocketOptions::default();
        let row = lookup(id).expect("in the table");
        let outcome = store(&mut options, row, &1i32.to_ne_bytes());
        if cfg!(feature = "gssapi") {
            assert_eq!(outcome, Ok(Applied::Stored), "{}", row.name);
        } else {
            assert_eq!(outcome, Err(OptionError::Unknown { id }));
            assert_eq!(read(&options, row, 4), Err(OptionError::Unknown { id }));
            assert_eq!(options, SocketOptions::default());
        }
    }
}

#[cfg(feature = "gssapi")]
#[test]
fn principals_and_the_role_make_the_mechanism_gssapi() {
    let mut options = SocketOptions::default();
    let mut expect = |id: i32, value: &[u8], mechanism: i32, server: i32| {
        let row = lookup(id).expect("in the table");
        store(&mut options, row, value).expect("valid");
        let int = |id| read_int(&options, lookup(id).expect("in the table"));
        assert_eq!((int(id::MECHANISM), int(id::GSSAPI_SERVER)), (mechanism, server), "after {}", row.name);
    };
    let (yes, no) = (1i32.to_ne_bytes(), 0i32.to_ne_bytes());
    expect(id::GSSAPI_PLAINTEXT, &yes, 0, 0);
    expect(id::GSSAPI_PRINCIPAL_NAMETYPE, &yes, 0, 0);
    expect(id::GSSAPI_SERVER, &yes, 3, 1);
    expect(id::GSSAPI_PRINCIPAL, b"somebody", 3, 1);
    // A role alone, as libzmq has it: GSSAPI it stays.
    expect(id::GSSAPI_SERVER, &no, 3, 0);
    expect(id::GSSAPI_SERVER, &yes, 3, 1);
    expect(id::GSSAPI_SERVICE_PRINCIPAL, b"somebody", 3, 0);
    expect(id::CURVE_SERVER, &yes, 2, 0);
    expect(id::GSSAPI_PRINCIPAL, b"somebody", 3, 1);
}
