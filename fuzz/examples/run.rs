//! Runs a target on files: `cargo run --example run -- TARGET FILE…`.

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().expect("a target's name");
    let target = zlink_fuzz::TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    for file in arguments {
        target(&std::fs::read(file).expect("a readable file"));
    }
}
