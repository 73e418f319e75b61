use std::alloc::alloc;

use super::*;

fn block(class: Class) -> NonNull<u8> {
    // SAFETY: not of size zero.
    NonNull::new(unsafe { alloc(class.layout()) }).expect("memory")
}

fn chain(class: Class, len: usize) -> Chain {
    let mut chain = Chain::EMPTY;
    for _ in 0..len {
        // SAFETY: nobody else uses the block.
        unsafe { chain.push(block(class)) };
    }
    chain
}

#[test]
fn each_rounded_size_is_a_class_of_its_own() {
    let mut last = None;
    for size in FROM..=70_000 {
        let class = Class::of(rounded(size)).expect("kept");
        assert!(class.size() == rounded(size) && class.size() >= size, "{size}");
        assert!(class.size() <= size + size / STEPS + 1, "{size}");
        assert_eq!(class.is_large(), class.size() >= LARGE_FROM);
        assert!(last.is_none_or(|last| last == class.0 || last + 1 == class.0));
        last = Some(class.0);
    }
    assert_eq!(Class::of(UP_TO).map(|class| (class.0, class.size())), Some((CLASSES - 1, UP_TO)));
    assert_eq!([0, FROM - 1, UP_TO + 1, usize::MAX].map(Class::of), [None; 4]);
    assert_eq!([0, 1, FROM - 1, usize::MAX].map(rounded), [0, 1, FROM - 1, usize::MAX]);
}

#[test]
fn a_chain_gives_the_latest_block_first() {
    let class = Class(0);
    let mut chain = chain(class, 2);
    let latest = chain.top.expect("two blocks").cast();
    let first = chain.pop().expect("two");
    assert_eq!((first, chain.len), (latest, 1));
    // SAFETY: it was just taken.
    unsafe { chain.push(first) };
    chain.free(class);
}

#[test]
fn the_depot_keeps_no_more_than_is_allowed() {
    let mut depot = Depot::new();
    let (small, large) = (Class(0), Class(CLASSES - 1));
    assert!(depot.keep(small, chain(small, 3)).is_empty());
    for _ in 0..DEPOT_BYTES / UP_TO - 1 {
        assert!(depot.keep(large, chain(large, 1)).is_empty());
    }
    let out = depot.keep(large, chain(large, 1));
    let freed: usize = out.iter().map(|(class, chain)| chain.len * class.size()).sum();
    assert!(freed > 0 && depot.bytes <= DEPOT_BYTES);
    out.into_iter().for_each(|(class, chain)| chain.free(class));
    for class in [small, large] {
        while let Some(chain) = depot.take(class) {
            chain.free(class);
        }
    }
    assert_eq!(depot.bytes, 0);
}

#[test]
fn a_thread_keeps_two_magazines_of_a_class_and_hands_on_the_rest() {
    let class = Class(5);
    let mut kept = Kept::new();
    for _ in 0..3 * class.magazine() {
        // SAFETY: nobody else uses the block.
        unsafe { kept.give(class, block(class)) };
    }
    let pair = &kept.pairs[class.0];
    assert_eq!(pair.current.len + pair.other.len, kept.bytes / class.size());
    assert!(kept.bytes <= 2 * class.magazine() * class.size());
    while kept.bytes > 0 {
        let block = kept.take(class).expect("kept");
        // SAFETY: it was just taken.
        unsafe { dealloc(block.as_ptr(), class.layout()) };
    }
}

#[test]
fn a_thread_that_keeps_too_much_gives_all_of_it_up() {
    let mut kept = Kept::new();
    let mut given = 0;
    for class in (0..SMALL_CLASSES).map(Class).cycle() {
        // SAFETY: nobody else uses the block.
        unsafe { kept.give(class, block(class)) };
        given += class.size();
        assert!(kept.bytes <= THREAD_BYTES);
        if given > 2 * THREAD_BYTES {
            break;
        }
    }
}

#[test]
fn what_one_thread_gives_up_another_gets() {
    let size = rounded(40_000);
    let class = Class::of(size).expect("kept");
    let given = std::thread::spawn(move || {
        (0..8 * class.magazine())
            .map(|_| {
                let block = block(class);
                // SAFETY: nobody else uses the block.
                unsafe { give(block, size) };
                block.as_ptr() as usize
            })
            .collect::<Vec<_>>()
    });
    let given = given.join().expect("no panic");
    // Other tests may have given some up too.
    let taken: Vec<_> = std::iter::from_fn(|| take(size)).collect();
    assert!(taken.iter().any(|block| given.contains(&(block.as_ptr() as usize))));
    for block in taken {
        // SAFETY: it was just taken.
        unsafe { give(block, size) };
    }
}

#[test]
fn a_thread_has_the_small_block_that_it_freed_last_at_hand() {
    let new = |size: usize| {
        // SAFETY: the size is not zero.
        let block = unsafe { std::alloc::alloc(Layout::from_size_align(size, ALIGN).expect("a layout")) };
        NonNull::new(block).expect("memory")
    };
    // SAFETY: allocated above or handed out by `take`, and used no more.
    let free = |block, size| unsafe { give(block, size) };
    let (first, second) = (new(96), new(64));
    free(first, 96);
    assert_eq!((take(64), take(96), take(96)), (None, Some(first), None));
    free(first, 96);
    free(second, 64);
    assert_eq!((take(96), take(64)), (None, Some(second)));
    free(second, 64);
    // Another thread has none of it, and gives back its own when it ends.
    let other = std::thread::spawn(move || {
        let none = take(64).is_none();
        let block = new(64).as_ptr().expose_provenance();
        // SAFETY: as above.
        unsafe { give(NonNull::new(std::ptr::with_exposed_provenance_mut(block)).expect("memory"), 64) };
        none
    });
    assert!(other.join().expect("no panic"));
    assert_eq!(take(64), Some(second));
    free(second, 64);
}
