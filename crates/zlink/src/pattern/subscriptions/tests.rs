//! Topics against a naive oracle, in depth, and by the work they take.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

fn matched(topics: &Topics, message: &[u8]) -> Vec<usize> {
    let mut pipes = Vec::new();
    topics.matching(message, |pipe| pipes.push(pipe));
    pipes.sort_unstable();
    pipes
}

/// Nodes looked at to match `message`.
fn visited(topics: &Topics, message: &[u8]) -> usize {
    topics.tree.walk(message).count()
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>, usize),
    Remove(Vec<u8>, usize),
    RemovePipe(usize),
    Match(Vec<u8>),
}

/// Bytes of which many begin alike and part at any place, some within a node's piece and some far beyond it.
fn topic() -> impl Strategy<Value = Vec<u8>> {
    let run = (prop::sample::select(vec![b'a', b'b', 0, 255]), prop::sample::select(vec![1, 1, 2, 700]));
    prop::collection::vec(run, 0..6)
        .prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (topic(), 0..4usize).prop_map(|(topic, pipe)| Step::Add(topic, pipe)),
        4 => (topic(), 0..4usize).prop_map(|(topic, pipe)| Step::Remove(topic, pipe)),
        1 => (0..4usize).prop_map(Step::RemovePipe),
        3 => topic().prop_map(Step::Match),
    ]
}

type Oracle = BTreeMap<Vec<u8>, BTreeSet<usize>>;

fn take(oracle: &mut Oracle, topic: &[u8], pipe: usize) -> Removed {
    let Some(set) = oracle.get_mut(topic) else { return Removed::NotFound };
    if !set.remove(&pipe) {
        return Removed::NotFound;
    }
    if !set.is_empty() {
        return Removed::OthersRemain;
    }
    oracle.remove(topic);
    Removed::Last
}

proptest! {
    #[test]
    fn topics_agree_with_a_list_of_topics(steps in prop::collection::vec(step(), 0..80)) {
        let (mut topics, mut oracle) = (Topics::default(), Oracle::new());
        for step in steps {
            match step {
                Step::Add(topic, pipe) => {
                    let first = !oracle.contains_key(&topic);
                    oracle.entry(topic.clone()).or_default().insert(pipe);
                    prop_assert_eq!(topics.add(&topic, pipe), first);
                }
                Step::Remove(topic, pipe) => {
                    prop_assert_eq!(topics.remove(&topic, pipe), take(&mut oracle, &topic, pipe));
                }
                Step::RemovePipe(pipe) => {
                    let of_pipe: Vec<_> =
                        oracle.iter().filter(|(_, set)| set.contains(&pipe)).map(|(t, _)| t.clone()).collect();
                    let mut last = of_pipe.clone();
                    last.retain(|topic| take(&mut oracle, topic, pipe) == Removed::Last);
                    let mut told = Vec::new();
                    topics.remove_pipe(pipe, Tell::Last, |topic| told.push(topic.to_vec()));
                    told.sort();
                    prop_assert_eq!(told, last);
                }
                Step::Match(message) => {
                    let mut expected: Vec<usize> = oracle
                        .iter()
                        .filter(|(topic, _)| message.starts_with(topic))
                        .flat_map(|(_, set)| set.iter().copied())
                        .collect();
                    expected.sort_unstable();
                    prop_assert_eq!(matched(&topics, &message), expected);
                }
            }
            prop_assert_eq!(topics.len(), oracle.len());
            let (nodes, bytes) = topics.tree.check();
            prop_assert!(bytes <= oracle.keys().map(Vec::len).sum());
            prop_assert!(nodes <= 1 + 2 * oracle.len() + bytes / 256);
        }
    }

    #[test]
    fn prefixes_agree_with_a_multiset(steps in prop::collection::vec((topic(), 0..3u8), 0..80)) {
        let (mut prefixes, mut oracle) = (Prefixes::default(), BTreeMap::<Vec<u8>, usize>::new());
        for (topic, operation) in steps {
            match operation {
                0 => {
                    let count = oracle.entry(topic.clone()).or_default();
                    *count += 1;
                    prop_assert_eq!(prefixes.add(&topic), *count == 1);
                }
                1 => {
                    let count = oracle.get(&topic).copied().unwrap_or(0);
                    if count > 1 {
                        oracle.insert(topic.clone(), count - 1);
                    } else {
                        oracle.remove(&topic);
                    }
                    prop_assert_eq!(prefixes.remove(&topic), count == 1);
                }
                _ => {
                    let expected = oracle.keys().any(|prefix| topic.starts_with(prefix));
                    prop_assert_eq!(prefixes.matches(&topic), expected);
                }
            }
            let mut all = Vec::new();
            prefixes.for_each(|topic| all.push(topic.to_vec()));
            all.sort();
            prop_assert!(all.iter().eq(oracle.keys()));
            prop_assert_eq!(prefixes.len(), oracle.len());
        }
    }
}

#[test]
fn a_topic_of_a_mebibyte_takes_few_nodes_and_leaves_none() {
    let mut topics = Topics::default();
    let long: Vec<u8> = (0..MIB).map(|i| (i % 251) as u8).collect();
    assert!(topics.add(&long, 7));
    let (nodes, bytes) = topics.tree.check();
    assert_eq!(bytes, MIB);
    assert!(nodes <= MIB / 512, "{nodes} nodes");
    assert_eq!(matched(&topics, &long), [7]);
    assert_eq!(matched(&topics, &[&long[..], b"and more"].concat()), [7]);
    assert_eq!(matched(&topics, &long[..MIB - 1]), []);
    assert_eq!(topics.remove(&long[..MIB - 1], 7), Removed::NotFound);
    assert_eq!(topics.remove(&long, 7), Removed::Last);
    assert_eq!((topics.tree.check(), topics.len()), ((1, 0), 0));
}

#[test]
fn a_long_topic_keeps_its_nodes_while_short_ones_come_and_go() {
    let mut topics = Topics::default();
    let long = vec![b'x'; MIB];
    topics.add(&long, 0);
    let before = topics.tree.check();
    for len in (0..5000).chain(MIB - 3000..MIB) {
        topics.add(&long[..len], 1);
        assert_eq!(topics.remove(&long[..len], 1), Removed::Last);
    }
    assert_eq!(topics.tree.check(), before);
}

#[test]
fn a_hundred_thousand_nested_topics_are_matched_and_removed_without_recursion() {
    const DEPTH: usize = 100_000;
    let mut topics = Topics::default();
    let deepest = vec![b'n'; DEPTH];
    // From the longest down: each then takes a walk of a few nodes, and the test seconds rather than hours.
    for len in (1..=DEPTH).rev() {
        topics.add(&deepest[..len], 3);
    }
    assert_eq!(topics.len(), DEPTH);
    let (nodes, bytes) = topics.tree.check();
    assert_eq!((nodes, bytes), (DEPTH + 1, DEPTH), "what topics have in common is stored once");
    assert_eq!(matched(&topics, &deepest).len(), DEPTH);
    assert_eq!(matched(&topics, &deepest[..10]).len(), 10);

    let mut told = 0;
    topics.remove_pipe(9, Tell::All, |_| told += 1);
    assert_eq!((told, topics.len()), (0, DEPTH));
    topics.remove_pipe(3, Tell::Nothing, |_| told += 1);
    assert_eq!((told, topics.len()), (0, 0));
    assert_eq!(topics.tree.check(), (1, 0));

    for len in (1..=DEPTH).rev() {
        topics.add(&deepest[..len], 3);
    }
    drop(topics);
}

#[test]
fn subscriptions_that_do_not_match_add_no_work() {
    let mut topics = Topics::default();
    topics.add(b"weather/", 0);
    topics.add(b"weather/london", 1);
    let message = b"weather/london/rain";
    let alone = visited(&topics, message);
    for i in 0..20_000u32 {
        // Elsewhere, beside the topic at every depth, and beyond the message.
        topics.add(format!("news/{i}").as_bytes(), 2);
        topics.add(format!("weather/berlin/{i}").as_bytes(), 2);
        topics.add(format!("weather/london/rain/{i}").as_bytes(), 2);
    }
    assert_eq!(matched(&topics, message), [0, 1]);
    // Forks on the way are nodes: at most one a byte, however many topics there are.
    assert!(visited(&topics, message) <= alone + 3, "{} nodes", visited(&topics, message));
    assert_eq!(visited(&topics, b"unknown"), 1);
}

#[test]
fn a_pipe_has_a_topic_once_however_often_it_subscribes() {
    let mut topics = Topics::default();
    assert!(topics.add(b"t", 1));
    assert!(!topics.add(b"t", 1));
    assert!(!topics.add(b"t", 2));
    assert_eq!(matched(&topics, b"topic"), [1, 2]);
    assert_eq!(topics.remove(b"t", 1), Removed::OthersRemain);
    assert_eq!(topics.remove(b"t", 1), Removed::NotFound);
    assert_eq!(topics.remove(b"t", 2), Removed::Last);
}

#[test]
fn the_empty_topic_matches_every_message() {
    let mut topics = Topics::default();
    topics.add(b"", 5);
    assert_eq!((matched(&topics, b""), matched(&topics, b"any")), (vec![5], vec![5]));
    let mut prefixes = Prefixes::default();
    assert!(!prefixes.matches(b""));
    prefixes.add(b"");
    assert!(prefixes.matches(b"") && prefixes.matches(b"any"));
}

#[test]
fn a_pipe_that_goes_tells_what_was_asked_for() {
    for (tell, expected) in
        [(Tell::Nothing, vec![]), (Tell::Last, vec!["own"]), (Tell::All, vec!["own", "shared"])]
    {
        let mut topics = Topics::default();
        topics.add(b"shared", 1);
        topics.add(b"shared", 2);
        topics.add(b"own", 1);
        let mut told = Vec::new();
        topics.remove_pipe(1, tell, |topic| told.push(String::from_utf8_lossy(topic).into_owned()));
        told.sort();
        assert_eq!(told, expected);
        assert_eq!((matched(&topics, b"shared"), matched(&topics, b"own")), (vec![2], vec![]));
    }
}

#[test]
fn memory_comes_back_when_most_topics_go_and_the_others_stay_reachable() {
    let mut topics = Topics::default();
    for i in 0..20_000u32 {
        topics.add(format!("{i:05}").as_bytes(), (i % 7) as usize);
    }
    for pipe in 1..7 {
        topics.remove_pipe(pipe, Tell::Nothing, |_| {});
    }
    for i in (0..20_000u32).filter(|i| i % 7 == 0 && i % 50 != 0) {
        assert_eq!(topics.remove(format!("{i:05}").as_bytes(), 0), Removed::Last);
    }
    let (nodes, _) = topics.tree.check();
    assert!(topics.tree.arena() <= (4 * nodes).max(1100), "{} slots for {nodes} nodes", topics.tree.arena());
    for i in 0..20_000u32 {
        let expected = if i % 350 == 0 { vec![0] } else { vec![] };
        assert_eq!(matched(&topics, format!("{i:05}").as_bytes()), expected);
    }
    topics.remove_pipe(0, Tell::Nothing, |_| {});
    assert_eq!((topics.len(), topics.tree.check()), (0, (1, 0)));
}
