//! Runs each target on its corpus, on damaged copies of it and on random inputs: what a stable toolchain and
//! some seconds allow. `ZLINK_FUZZ_RUNS` sets how many inputs besides the corpus (default: some hundreds to
//! thousands, by the target's speed).

use std::path::Path;

struct Random(u64);

impl Random {
    /// xorshift64*; Marsaglia, "Xorshift RNGs".
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    /// Random bytes, or a seed with some of its bytes changed, doubled or cut off.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(3) == 0 {
            return (0..self.below(400)).map(|_| self.next() as u8).collect();
        }
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(8) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(4) {
                0 | 1 => bytes[at] = self.next() as u8,
                2 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
            bytes.truncate(4096);
        }
        bytes
    }
}

fn replay(name: &str, runs: usize, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "no corpus in {}", folder.display());
    for (file, seed) in files.iter().zip(&seeds) {
        println!("{}", file.display()); // Shown if the target panics.
        target(seed);
    }
    let runs = std::env::var("ZLINK_FUZZ_RUNS").map_or(runs, |runs| runs.parse().unwrap());
    let mut random = Random(0x005E_ED0F_2117_u64);
    for _ in 0..runs {
        let input = random.input(&seeds);
        println!("{}", input.escape_ascii());
        target(&input);
    }
}

macro_rules! replay {
    ($($(#[$condition:meta])? $target:ident: $runs:literal)*) => { $(
        $(#[$condition])?
        #[test]
        fn $target() {
            replay(stringify!($target), $runs, zlink_fuzz::$target);
        }
    )* };
}

replay! {
    greeting: 5000
    handshake: 5000
    plain: 2000
    zap_reply: 20000
    frames: 20000
    curve_handshake: 1000
    curve_messages: 1000
    #[cfg(feature = "gssapi")] gssapi_handshake: 5000
    #[cfg(feature = "gssapi")] gssapi_messages: 2000
    endpoints: 20000
    datagrams: 2000
    read_half: 2000
    encoder: 5000
    raw_stream: 200
    subscriptions: 5000
    socket_ops: 200
    socks: 20000
    queue_ops: 3000
    ws_bind: 5000
    ws_connect: 5000
    ws_frames: 20000
    options: 500
    z85: 20000
}
