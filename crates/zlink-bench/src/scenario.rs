//! Scenarios as a line of text: `stream tcp,ipc push-pull 64,1K sockets=1,2 pin=none`.
//!
//! The first four words are kind, transport, pattern and size. After them, in any order, come `curve`
//! and `name=value` for `pin`, `sockets`, `peers`, `threads`, `rate`, `burst`, `topics` and `idle`. Each may be a list,
//! and a line means all combinations. `count` sets the number of messages instead of the time they may take. The suites in `suites/` and the thresholds are written this way.

use clap::ValueEnum;

use crate::cell::{
    Cell, Kind, Mechanism, Pattern, Pin, Threads, Topics, Transport, parse_count, parse_micros, parse_size,
};

/// Cells as the product of what they have along each axis.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) sockets: Vec<u64>,
    pub(crate) peers: Vec<u64>,
    pub(crate) threads: Vec<Threads>,
    pub(crate) rates: Vec<u64>,
    pub(crate) bursts: Vec<u64>,
    pub(crate) topics: Vec<Topics>,
    pub(crate) idles_us: Vec<u64>,
    /// A fixed number of messages, where it is part of the scenario.
    pub(crate) count: Option<u64>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            kinds: vec![Kind::Stream],
            transports: vec![Transport::Tcp],
            patterns: vec![Pattern::PushPull],
            sizes: vec![64],
            pins: vec![Pin::None],
            mechanisms: vec![Mechanism::Null],
            sockets: vec![1],
            peers: vec![1],
            threads: vec![Threads::One],
            rates: vec![0],
            bursts: vec![0],
            topics: vec![Topics::All],
            idles_us: vec![0],
            count: None,
        }
    }
}

/// All combinations of what `cells` are and each of `values`.
fn vary<T: Copy>(cells: Vec<Cell>, values: &[T], set: impl Fn(&mut Cell, T)) -> Vec<Cell> {
    let one = |cell: Cell| values.iter().map(move |value| (cell.clone(), *value));
    let mut varied: Vec<(Cell, T)> = cells.into_iter().flat_map(one).collect();
    varied.iter_mut().for_each(|(cell, value)| set(cell, *value));
    varied.into_iter().map(|(cell, _)| cell).collect()
}

impl Scenario {
    /// All combinations, without counts unless there is one here.
    ///
    /// # Errors
    ///
    /// The first combination that makes no sense, and why.
    pub(crate) fn cells(&self) -> Result<Vec<Cell>, String> {
        let first = Cell::new(Kind::Stream, Transport::Tcp, Pattern::PushPull, 64, Pin::None);
        let mut cells = vec![first];
        cells = vary(cells, &self.kinds, |cell, kind| cell.kind = kind);
        cells = vary(cells, &self.transports, |cell, transport| cell.transport = transport);
        cells = vary(cells, &self.patterns, |cell, pattern| cell.pattern = pattern);
        cells = vary(cells, &self.mechanisms, |cell, mechanism| cell.mechanism = mechanism);
        cells = vary(cells, &self.sizes, |cell, size| cell.size = size);
        cells = vary(cells, &self.topics, |cell, topics| cell.topics = topics);
        cells = vary(cells, &self.sockets, |cell, sockets| cell.sockets = sockets);
        cells = vary(cells, &self.peers, |cell, peers| cell.peers = peers);
        cells = vary(cells, &self.threads, |cell, threads| cell.threads = threads);
        cells = vary(cells, &self.rates, |cell, rate| cell.rate = rate);
        cells = vary(cells, &self.bursts, |cell, burst| cell.burst = burst);
        cells = vary(cells, &self.idles_us, |cell, idle| cell.idle_us = idle);
        cells = vary(cells, &self.pins, |cell, pin| cell.pin = pin);
        if let Some(count) = self.count {
            cells.iter_mut().for_each(|cell| cell.set_count(count));
        }
        match cells.iter().find_map(|cell| cell.check().err().map(|why| format!("{cell}: {why}"))) {
            Some(fault) => Err(fault),
            None => Ok(cells),
        }
    }
}

/// Reads one line.
///
/// # Errors
///
/// The word that is not understood.
pub(crate) fn parse(line: &str) -> Result<Scenario, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [kind, transport, pattern, size, rest @ ..] = words.as_slice() else {
        return Err("expected: KIND TRANSPORT PATTERN SIZE [curve] [NAME=VALUE ..]".into());
    };
    let mut scenario = Scenario {
        kinds: values(kind)?,
        transports: values(transport)?,
        patterns: values(pattern)?,
        sizes: list(size, parse_size)?,
        ..Scenario::default()
    };
    for word in rest {
        match word.split_once('=') {
            Some(("pin", list)) => scenario.pins = values(list)?,
            Some(("threads", list)) => scenario.threads = values(list)?,
            Some(("topics", list)) => scenario.topics = values(list)?,
            Some(("mechanism", list)) => scenario.mechanisms = values(list)?,
            Some(("sockets", text)) => scenario.sockets = list(text, parse_count)?,
            Some(("peers", text)) => scenario.peers = list(text, parse_count)?,
            Some(("rate", text)) => scenario.rates = list(text, parse_count)?,
            Some(("burst", text)) => scenario.bursts = list(text, parse_count)?,
            Some(("count", text)) => scenario.count = Some(parse_count(text)?),
            Some(("idle", text)) => scenario.idles_us = list(text, parse_micros)?,
            None if *word == "curve" => scenario.mechanisms = vec![Mechanism::Curve],
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    Ok(scenario)
}

/// Reads a suite: a scenario a line, `#` starts a comment. Each cell is there once, in the order of the file.
///
/// # Errors
///
/// The number of the line that makes no sense, and why.
pub(crate) fn parse_suite(text: &str) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for (number, line) in lines(text) {
        let of_line = parse(line).and_then(|scenario| scenario.cells());
        cells.extend(of_line.map_err(|why| format!("line {number}: {why}"))?);
    }
    Ok(unique(cells))
}

/// The lines that say something, with their numbers.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, line)| !line.is_empty())
}

/// Each cell once, in order.
pub(crate) fn unique(cells: Vec<Cell>) -> Vec<Cell> {
    let mut seen = std::collections::BTreeSet::new();
    cells.into_iter().filter(|cell| seen.insert(cell.clone())).collect()
}

fn values<T: ValueEnum>(text: &str) -> Result<Vec<T>, String> {
    list(text, |word| T::from_str(word, false).map_err(|_| format!("`{word}` is not known")))
}

fn list<T>(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_means_all_combinations_of_its_lists() {
        let scenario = parse("stream tcp,ipc push-pull,pair 64,1K sockets=1,2,4 pin=none,0");
        let cells = scenario.and_then(|scenario| scenario.cells()).expect("the line is well formed");
        assert_eq!(cells.len(), 2 * 2 * 2 * 3 * 2);
        let last = cells.last().expect("there are cells");
        let shown = (last.transport, last.pattern, last.size, last.sockets, last.pin);
        assert_eq!(shown, (Transport::Ipc, Pattern::Pair, 1024, 4, Pin::Zero));
    }

    #[test]
    fn what_a_cell_prints_reads_back_as_the_same_cell() {
        for line in [
            "stream tcp push-pull 64",
            "stream ws dealer-router 1K peers=8",
            "stream tcp push-pull 64 peers=8 threads=each",
            "stream tcp stream 64 sockets=4",
            "roundtrip ipc req-rep 64 pin=0 idle=1ms",
            "roundtrip tcp router-router-polled 256 pin=split",
            "paced tcp push-pull 64 rate=500k",
            "burst inproc pair 64 burst=50 idle=1ms",
            "fanout tcp pub-sub 1K peers=100 topics=never",
            "connect tcp req-rep 64 curve",
            "idle tcp push-pull 64 peers=1k",
        ] {
            let cells = parse(line).and_then(|scenario| scenario.cells()).expect(line);
            assert_eq!(parse_suite(&cells[0].to_string()), Ok(cells), "{line}");
        }
    }

    #[test]
    fn words_that_make_no_sense_are_refused() {
        for bad in [
            "",
            "stream tcp push-pull",
            "flood tcp push-pull 64",
            "stream udp push-pull 64",
            "stream tcp push-pull 64 none",
            "stream tcp push-pull 64 sockets=0",
            "stream tcp push-pull 64 colour=red",
            "stream tcp push-pull 64 peers=many",
            "stream tcp req-rep 64",
            "stream tcp push-pull 64,",
        ] {
            assert!(parse(bad).and_then(|scenario| scenario.cells()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_suite_names_the_line_that_is_wrong_and_has_each_cell_once() {
        let text = "# a comment\n\nstream tcp push-pull 64 # ends here\nstream tcp push-pull 64,1K\n";
        assert_eq!(parse_suite(text).map(|cells| cells.len()), Ok(2));
        let error = parse_suite("# one\nnonsense").expect_err("the second line is none");
        assert!(error.starts_with("line 2:"), "{error}");
    }
}
