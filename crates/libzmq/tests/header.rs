//! Our `zmq.h` against libzmq's: the same names, values, sizes and function types, in C and in C++, with drafts and
//! without.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LANGUAGES: [(&str, &str); 4] = [("c", "gnu99"), ("c", "gnu17"), ("c++", "c++11"), ("c++", "c++17")];

/// One header as one compiler mode sees it.
struct Header {
    include: PathBuf,
    name: &'static str,
    language: &'static str,
    standard: &'static str,
    draft: bool,
    /// Error numbers of the system that are taken away first, as on one that has them not.
    without: Vec<String>,
}

/// What a header defines that a program can use.
#[derive(Default)]
struct Contents {
    /// Macros that it leaves defined, with their parameters and what they expand to.
    macros: BTreeMap<String, (Vec<String>, String)>,
    /// Types that it names, with the fields of those that are structs.
    types: BTreeMap<String, Vec<String>>,
}

impl Header {
    fn pair(language: &'static str, standard: &'static str, draft: bool) -> (Self, Self) {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
        let theirs = libzmq_reference::include_dir().to_owned();
        let header =
            |include| Self { include, name: "zmq.h", language, standard, draft, without: Vec::new() };
        (header(ours), header(theirs))
    }

    fn source(&self) -> String {
        std::fs::read_to_string(self.include.join(self.name)).expect("the header is there")
    }

    /// What a program has to say to see this header.
    fn inclusion(&self) -> String {
        let undefine: String = self.without.iter().map(|name| format!("#undef {name}\n")).collect();
        format!("#include <errno.h>\n#include <signal.h>\n{undefine}#include <{}>\n", self.name)
    }

    fn compiler(&self, arguments: &[&str], input: &str) -> Output {
        let program = if self.language == "c" { "gcc" } else { "g++" };
        let mut command = Command::new(program);
        command.args(["-x", self.language, &format!("-std={}", self.standard), "-I"]).arg(&self.include);
        if self.draft {
            command.arg("-DZMQ_BUILD_DRAFT_API");
        }
        command.args(arguments).arg("-");
        run_with_input(command, input)
    }

    fn preprocess(&self, arguments: &[&str]) -> String {
        let output = self.compiler(arguments, &self.inclusion());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the headers are ASCII")
    }

    /// What this header defines itself, none of what it includes.
    fn contents(&self) -> Contents {
        let text = self.preprocess(&["-dD", "-E"]);
        let own = format!("\"{}\"", self.include.join(self.name).display());
        let (mut contents, mut code, mut in_own) = (Contents::default(), String::new(), false);
        for line in text.lines() {
            if let Some(marker) = line.strip_prefix("# ") {
                in_own = marker.contains(&own);
            } else if !in_own {
            } else if let Some(definition) = line.strip_prefix("#define ") {
                // The preprocessor leaves no space before or within the parameters.
                let (head, expansion) = definition.split_once(' ').unwrap_or((definition, ""));
                let (name, parameters) = head.split_once('(').unwrap_or((head, ""));
                let parameters =
                    parameters.split([',', ')']).filter(|p| !p.is_empty()).map(str::to_owned).collect();
                contents.macros.insert(name.to_owned(), (parameters, expansion.trim().to_owned()));
            } else if let Some(name) = line.strip_prefix("#undef ") {
                contents.macros.remove(name.trim());
            } else {
                code.extend([line, "\n"]);
            }
        }
        contents.types = code.split("typedef ").skip(1).map(named_type).collect();
        contents
    }

    /// The names that the header's text defines anywhere, whatever the system, the compiler and the settings, but for
    /// those that it takes back itself.
    fn names_defined_anywhere(&self) -> BTreeSet<String> {
        let source = self.source();
        let names_after = |directive: &str| -> BTreeSet<String> {
            let lines = source.lines().filter_map(|line| line.trim_start().strip_prefix('#'));
            let names = lines.filter_map(|line| line.trim_start().strip_prefix(directive)).map(first_word);
            names.map(str::to_owned).collect()
        };
        names_after("define ").difference(&names_after("undef ")).cloned().collect()
    }

    /// Names of the functions declared.
    fn functions(&self) -> Vec<String> {
        let text = self.preprocess(&["-E", "-P"]);
        let mut names = Vec::new();
        for (at, _) in text.match_indices("zmq_") {
            let inside_a_word =
                text[..at].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            let end = text[at..]
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .map_or(text.len(), |n| at + n);
            if !inside_a_word && text[end..].trim_start().starts_with('(') {
                names.push(text[at..end].to_owned());
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Compiles and runs a program that prints all there is to compare.
    fn facts(&self, contents: &Contents, functions: &[String]) -> String {
        let mut body = String::new();
        let with_a_value = contents.macros.iter().filter(|(_, (_, expansion))| !expansion.is_empty());
        for (name, (parameters, expansion)) in with_a_value {
            let arguments: Vec<String> = (1..=parameters.len()).map(|n| n.to_string()).collect();
            let call =
                if arguments.is_empty() { name.clone() } else { format!("{name}({})", arguments.join(", ")) };
            if expansion.starts_with('"') {
                writeln!(body, "printf(\"{name} = %s\\n\", {call});").unwrap();
            } else {
                writeln!(body, "printf(\"{name} = %lld\\n\", (long long)({call}));").unwrap();
                // Programs ask for constants in conditions of the preprocessor, which knows no casts and no types.
                writeln!(body, "\n#if ({call}) < 0\nputs(\"below 0\");\n#endif").unwrap();
            }
        }
        for (name, fields) in &contents.types {
            // A function's type has no size.
            if !name.ends_with("_fn") {
                writeln!(body, "printf(\"{name}: %zu %zu\\n\", sizeof({name}), __alignof__({name}));")
                    .unwrap();
            }
            for field in fields {
                let value = format!("offsetof({name}, {field}), sizeof((({name} *) 0)->{field})");
                writeln!(body, "printf(\"{name}.{field}: %zu %zu\\n\", {value});").unwrap();
            }
        }
        let mut helper = "";
        if self.language == "c++" {
            // The compiler spells the type out, parameters included.
            helper = "template <class T> void show(const char *n) { printf(\"%s: %s\\n\", n, __PRETTY_FUNCTION__); }\n";
            for (name, fields) in &contents.types {
                writeln!(body, "show<{name}>(\"{name}\");").unwrap();
                for field in fields {
                    writeln!(body, "show<decltype({name}::{field})>(\"{name}.{field}\");").unwrap();
                }
            }
            for name in functions {
                writeln!(body, "show<decltype({name})>(\"{name}\");").unwrap();
            }
        }
        let program = format!("{}{helper}int main(void) {{\n{body}return 0;\n}}\n", self.inclusion());
        let file = tempfile_path(&format!(
            "{}-{}-{}-{}",
            self.language,
            self.standard,
            self.draft,
            self.without.is_empty()
        ));
        let output =
            self.compiler(&["-o", file.to_str().expect("the build folder's name is text")], &program);
        assert!(output.status.success(), "{}\n{program}", String::from_utf8_lossy(&output.stderr));
        let output = Command::new(&file).output().expect("the program just built can be run");
        assert!(output.status.success());
        std::fs::remove_file(&file).expect("the program just built can be removed");
        String::from_utf8(output.stdout).expect("the program prints ASCII")
    }
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end();
    let start = text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[start.map_or(0, |at| at + 1)..]
}

/// The name that a `typedef` gives, and the fields if it is a struct's; `text` is what follows the word.
fn named_type(text: &str) -> (String, Vec<String>) {
    let end_of = |text: &str| text.find(';').expect("a declaration ends with a semicolon");
    if let Some(body) = text.strip_prefix("struct").and_then(|rest| rest.split_once('{')) {
        let (fields, rest) = body.1.split_once('}').expect("a struct ends with a brace");
        let fields = fields.split(';').filter(|field| !field.trim().is_empty());
        let fields = fields.map(|field| last_word(field.split('[').next().expect("one part at least")));
        return (first_word(rest).to_owned(), fields.map(str::to_owned).collect());
    }
    let declaration = &text[..end_of(text)];
    // That of a function's type is in parentheses, before those of the parameters.
    let name = declaration.split_once('(').map_or(last_word(declaration), |(_, rest)| {
        last_word(&rest[..rest.find(')').expect("a closing one")])
    });
    (name.to_owned(), Vec::new())
}

fn tempfile_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("header-{}-{name}", std::process::id()))
}

fn run_with_input(mut command: Command, input: &str) -> Output {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a C and a C++ compiler are installed");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(input.as_bytes()).expect("the compiler reads its input");
    drop(stdin);
    child.wait_with_output().expect("the compiler ends")
}

/// The error numbers of the system that libzmq's header defines where they are missing.
fn numbers_for_poor_systems(theirs: &Header) -> Vec<String> {
    let mut everything = theirs.names_defined_anywhere();
    let here = theirs.contents();
    everything.retain(|name| !here.macros.contains_key(name));
    everything.into_iter().collect()
}

#[test]
fn every_constant_of_libzmq_is_defined_and_we_add_only_numbers_from_10000() {
    for (language, standard) in LANGUAGES {
        for draft in [false, true] {
            let (ours, theirs) = Header::pair(language, standard, draft);
            let (ours, theirs) = (ours.contents(), theirs.contents());
            let least = if draft { 230 } else { 170 };
            assert!(theirs.macros.len() > least, "only {} macros found", theirs.macros.len());
            let missing: Vec<_> =
                theirs.macros.keys().filter(|name| !ours.macros.contains_key(*name)).collect();
            assert!(missing.is_empty(), "{language}: not defined: {missing:?}");
            for (name, (parameters, expansion)) in &theirs.macros {
                let own = &ours.macros[name];
                assert_eq!(
                    (own.0.len(), own.1.is_empty()),
                    (parameters.len(), expansion.is_empty()),
                    "{name}"
                );
            }
            for (name, (_, text)) in ours.macros.iter().filter(|(name, _)| !theirs.macros.contains_key(*name))
            {
                let number: i64 = text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number"));
                assert!(number >= 10_000, "{name} is {number}, which libzmq may give away one day");
            }
            assert!(theirs.types.len() >= 6, "only {:?}", theirs.types.keys());
            assert_eq!(ours.types, theirs.types, "{language} ({standard}), draft {draft}");
        }
    }
}

/// What is defined on some systems only is found in the text of libzmq's header: no line of it is left out.
#[test]
fn every_line_of_libzmqs_header_that_defines_something_is_compared() {
    let (mut ours, mut theirs) = Header::pair("c", "gnu17", true);
    let numbers = numbers_for_poor_systems(&theirs);
    assert!(numbers.iter().all(|name| name.starts_with('E')) && numbers.len() == 18, "{numbers:?}");
    ours.without.clone_from(&numbers);
    theirs.without.clone_from(&numbers);
    let contents = theirs.contents();
    let left: Vec<_> = theirs
        .names_defined_anywhere()
        .into_iter()
        .filter(|name| !contents.macros.contains_key(name))
        .collect();
    assert!(left.is_empty(), "never looked at: {left:?}");
    assert_eq!(ours.facts(&contents, &[]), theirs.facts(&contents, &[]));
}

#[test]
fn values_sizes_and_function_types_are_those_of_libzmq() {
    for (language, standard) in LANGUAGES {
        for draft in [false, true] {
            let (ours, theirs) = Header::pair(language, standard, draft);
            // Asked of both alike: what libzmq's header has.
            let (contents, functions) = (theirs.contents(), theirs.functions());
            assert!(functions.len() > 60, "only {} functions found", functions.len());
            let (left, right) = (ours.facts(&contents, &functions), theirs.facts(&contents, &functions));
            for (left, right) in left.lines().zip(right.lines()) {
                assert_eq!(left, right, "{language} ({standard}), draft {draft}");
            }
            assert_eq!(left.lines().count(), right.lines().count());
        }
    }
}

#[test]
fn zmq_utils_h_brings_in_nothing_as_with_libzmq() {
    for (language, standard) in LANGUAGES {
        let (mut ours, mut theirs) = Header::pair(language, standard, true);
        for header in [&mut ours, &mut theirs] {
            header.name = "zmq_utils.h";
            assert!(header.source().contains("zmq.h"), "the file says where to look");
            let contents = header.contents();
            assert!(contents.macros.is_empty() && contents.types.is_empty(), "{:?}", contents.macros);
            assert_eq!(header.functions(), [""; 0]);
        }
    }
}

#[test]
fn every_function_of_libzmq_is_declared_and_no_other_under_its_prefix() {
    for draft in [false, true] {
        let (ours, theirs) = Header::pair("c", "gnu99", draft);
        let mut theirs = theirs.functions();
        if draft {
            // Of libzmq's later sources.
            theirs.push("zmq_disconnect_peer".to_owned());
            theirs.sort();
        }
        assert_eq!(ours.functions(), theirs, "draft {draft}");
    }
}

#[test]
fn the_header_compiles_without_a_warning_in_strict_modes() {
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"];
    // Strict C has no sigset_t, which only a draft function needs.
    for (language, standard) in LANGUAGES.into_iter().chain([("c", "c99"), ("c++", "c++98")]) {
        for draft in [false, true].into_iter().filter(|draft| !draft || standard != "c99") {
            let (ours, _) = Header::pair(language, standard, draft);
            let headers = ["zmq.h", "zmq.h", "zmq_utils.h", "zlink.h", "zlink.h"];
            let program: String = headers.iter().map(|name| format!("#include <{name}>\n")).collect();
            let output = ours.compiler(&strict, &format!("{program}int main(void) {{ return 0; }}\n"));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// The fields of a struct are those of the counters the Rust interface has, in the order in which the library writes
/// them; `stats.rs` shows that it does.
#[test]
fn the_counters_of_zlink_h_are_those_of_the_library() {
    let header = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/zlink.h"));
    let header = header.expect("the header is there");
    let (counters, rest) = header.split_once("} zlink_socket_stats_t;").expect("the struct ends");
    let (peer, _) = rest.split_once("} zlink_peer_stats_t;").expect("the struct ends");
    let fields = [
        "char local[256];",
        "char remote[256];",
        "queued_out;",
        "queued_in;",
        "zlink_socket_stats_t counters;",
    ];
    assert!(fields.map(|field| peer.find(field).expect(field)).is_sorted(), "{peer}");
    let fields = counters.lines().filter_map(|line| line.trim().strip_prefix("uint64_t ")?.split(';').next());
    let debug = format!("{:?}", zlink::SocketStats::default());
    let known = debug.split(['{', ',']).filter_map(|part| part.split_once(": ").map(|(name, _)| name.trim()));
    let known: Vec<&str> = known.collect();
    assert!(known.len() > 10, "{debug}");
    assert_eq!(fields.collect::<Vec<_>>(), known);
}

#[test]
fn the_option_table_and_the_header_give_the_same_numbers() {
    let (ours, _) = Header::pair("c", "gnu17", true);
    let macros = ours.contents().macros;
    let manual = zlink::reference_markdown();
    let mut name = "";
    let mut in_table = Vec::new();
    for line in manual.lines() {
        if let Some(heading) = line.strip_prefix("## ZMQ_") {
            name = heading;
        } else if let Some(number) = line.strip_prefix("| number | ") {
            in_table.push((format!("ZMQ_{name}"), number.trim_end_matches(" |").to_owned()));
        }
    }
    assert!(in_table.len() > 60, "only {} options found", in_table.len());
    let refused = zlink::NOT_BUILT_IN.iter().map(|(name, number)| ((*name).to_owned(), number.to_string()));
    for (name, number) in in_table.into_iter().chain(refused) {
        assert_eq!(macros.get(&name).map(|(_, value)| value), Some(&number), "{name}");
    }
}
