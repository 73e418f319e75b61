//! The table at the end.

use super::director::Outcome;
use super::journal::Journal;
use super::resources::Sample;
use super::scene::Scene;

/// Prints what came of the scenes. Whether all was well.
pub(super) fn conclude(journal: &Journal, scenes: &[&Scene], outcomes: &[Option<Outcome>]) -> bool {
    journal.say(&format!(
        "{:<18} {:>10} {:>9} {:>8} {:>7} {:>6} {:>9} {:>10}  {}",
        "scene",
        "messages",
        "MiB",
        "sockets",
        "events",
        "rests",
        "lost",
        "violations",
        "memory (allocated), KiB"
    ));
    let (mut messages, mut violations) = (0, 0);
    for (scene, outcome) in scenes.iter().zip(outcomes) {
        let Some(outcome) = outcome else {
            journal.say(&format!("{:<18} its director panicked", scene.name));
            violations += 1;
            continue;
        };
        let totals = &outcome.totals;
        messages += totals.received;
        violations += outcome.violations;
        let took = outcome.took.iter().map(memory).collect::<Vec<_>>().join(", ");
        journal.say(&format!(
            "{:<18} {:>10} {:>9} {:>8} {:>7} {:>6} {:>9} {:>10}  {took}",
            scene.name,
            totals.received,
            totals.bytes >> 20,
            totals.lives,
            outcome.events,
            outcome.rests,
            totals.lost,
            outcome.violations,
        ));
    }
    journal.say(&format!("{messages} messages, {violations} violations"));
    violations == 0
}

fn memory([first, last]: &[Sample; 2]) -> String {
    format!("{} → {} ({} → {})", first.memory, last.memory, first.allocated, last.allocated)
}
