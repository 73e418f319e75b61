use std::collections::{BTreeMap, BTreeSet};

use zlink::fuzzing::{Prefixes, Topics};

use crate::input::Input;

const PIPES: usize = 6;

/// Subscriptions of publishers and subscribers, against plain maps.
pub fn subscriptions(data: &[u8]) {
    let mut input = Input(data);
    if input.flag() { topics(input) } else { prefixes(input) }
}

fn topics(mut input: Input<'_>) {
    let (mut topics, mut model) = (Topics::default(), BTreeMap::<Vec<u8>, BTreeSet<usize>>::new());
    while !input.is_empty() {
        let (choice, pipe) = (input.byte() % 5, input.below(PIPES));
        match choice {
            0 | 1 => {
                let topic = input.bytes(12);
                let first = !model.contains_key(topic);
                model.entry(topic.to_vec()).or_default().insert(pipe);
                assert_eq!(topics.add(topic, pipe), first);
            }
            2 => {
                let topic = input.bytes(12);
                let expected =
                    model.get_mut(topic).and_then(|set| set.remove(&pipe).then_some(!set.is_empty()));
                model.retain(|_, set| !set.is_empty());
                assert_eq!(topics.remove(topic, pipe), expected);
            }
            3 => {
                let mut expected = Vec::new();
                model.retain(|topic, set| {
                    let gone = set.remove(&pipe) && set.is_empty();
                    if gone {
                        expected.push(topic.clone());
                    }
                    !gone
                });
                let mut gone = topics.remove_pipe(pipe);
                gone.sort();
                assert_eq!(gone, expected);
            }
            _ => {
                let message = input.bytes(16);
                let mut expected: Vec<usize> = model
                    .iter()
                    .filter(|(topic, _)| message.starts_with(topic))
                    .flat_map(|(_, set)| set)
                    .copied()
                    .collect();
                let mut pipes = topics.matching(message);
                expected.sort();
                pipes.sort();
                assert_eq!(pipes, expected);
            }
        }
        assert_eq!(topics.count(), model.len());
    }
}

fn prefixes(mut input: Input<'_>) {
    let (mut prefixes, mut model) = (Prefixes::default(), BTreeMap::<Vec<u8>, usize>::new());
    while !input.is_empty() {
        let choice = input.byte() % 4;
        let topic = input.bytes(12);
        match choice {
            0 | 1 => {
                let count = model.entry(topic.to_vec()).or_default();
                *count += 1;
                assert_eq!(prefixes.add(topic), *count == 1);
            }
            2 => {
                let last = model.get_mut(topic).is_some_and(|count| {
                    *count -= 1;
                    *count == 0
                });
                model.retain(|_, count| *count > 0);
                assert_eq!(prefixes.remove(topic), last);
            }
            _ => {
                let expected = model.keys().any(|prefix| topic.starts_with(prefix));
                assert_eq!(prefixes.matches(topic), expected);
            }
        }
        assert_eq!(prefixes.count(), model.len());
    }
    let mut all = prefixes.topics();
    all.sort();
    assert!(all.iter().eq(model.keys()));
}
