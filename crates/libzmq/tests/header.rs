//! Our `zmq.h` against libzmq's: the same names, values, sizes and function types, in C and in C++, with drafts and
//! without.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LANGUAGES: [(&str, &str); 4] = [("c", "gnu99"), ("c", "gnu17"), ("c++", "c++11"), ("c++", "c++17")];
const STRUCTS: [(&str, &[&str]); 2] =
    [("zmq_msg_t", &["_"]), ("zmq_pollitem_t", &["socket", "fd", "events", "revents"])];
const DRAFT_STRUCTS: [(&str, &[&str]); 1] =
    [("zmq_poller_event_t", &["socket", "fd", "user_data", "events"])];
const TYPES: [&str; 4] = ["zmq_free_fn", "zmq_timer_fn", "zmq_thread_fn", "zmq_fd_t"];

/// One header as one compiler mode sees it.
struct Header {
    include: PathBuf,
    language: &'static str,
    standard: &'static str,
    draft: bool,
}

impl Header {
    fn pair(language: &'static str, standard: &'static str, draft: bool) -> (Self, Self) {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
        let theirs = libzmq_reference::include_dir().to_owned();
        let header = |include| Self { include, language, standard, draft };
        (header(ours), header(theirs))
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
        let output = self.compiler(arguments, "#include <zmq.h>\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("the headers are ASCII")
    }

    /// All macros that begin with `ZMQ_`, and the error numbers of ZeroMQ's own, with their expansion.
    fn macros(&self) -> BTreeMap<String, String> {
        let text = self.preprocess(&["-dM", "-E"]);
        let lines = text.lines().filter_map(|line| line.strip_prefix("#define "));
        let named = lines.map(|line| {
            let end = line.find(' ').unwrap_or(line.len());
            (line[..end].to_owned(), line[end..].trim().to_owned())
        });
        let own_errors = ["EFSM", "ENOCOMPATPROTO", "ETERM", "EMTHREAD"];
        named
            .filter(|(name, _)| name.starts_with("ZMQ_") || own_errors.contains(&name.as_str()))
            // Ours to tell the compiler of; nothing the header defines.
            .filter(|(name, _)| name != "ZMQ_BUILD_DRAFT_API")
            .collect()
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
    fn facts(&self, macros: &BTreeMap<String, String>, functions: &[String]) -> String {
        let mut body = String::new();
        for (name, expansion) in macros.iter().filter(|(name, text)| !name.contains('(') && !text.is_empty())
        {
            let (format, cast) =
                if expansion.starts_with('"') { ("%s", "") } else { ("%lld", "(long long)") };
            writeln!(body, "printf(\"{name} = {format}\\n\", {cast}({name}));").unwrap();
        }
        writeln!(body, "printf(\"%d\\n\", ZMQ_MAKE_VERSION(1, 2, 3));").unwrap();
        let drafts: &[(&str, &[&str])] = if self.draft { &DRAFT_STRUCTS } else { &[] };
        for (name, fields) in STRUCTS.iter().chain(drafts) {
            writeln!(body, "printf(\"{name}: %zu %zu\\n\", sizeof({name}), __alignof__({name}));").unwrap();
            for field in *fields {
                let value = format!("offsetof({name}, {field}), sizeof((({name} *) 0)->{field})");
                writeln!(body, "printf(\"{name}.{field}: %zu %zu\\n\", {value});").unwrap();
            }
        }
        let mut helper = "";
        if self.language == "c++" {
            // The compiler spells the type out, parameters included.
            helper = "template <class T> void show(const char *n) { printf(\"%s: %s\\n\", n, __PRETTY_FUNCTION__); }\n";
            for name in functions.iter().map(String::as_str).chain(TYPES) {
                let kind = if TYPES.contains(&name) { name.to_owned() } else { format!("decltype({name})") };
                writeln!(body, "show<{kind}>(\"{name}\");").unwrap();
            }
        }
        let program = format!("#include <zmq.h>\n{helper}int main(void) {{\n{body}return 0;\n}}\n");
        let file = tempfile_path(&format!("{}-{}-{}", self.language, self.standard, self.draft));
        let output =
            self.compiler(&["-o", file.to_str().expect("the build folder's name is text")], &program);
        assert!(output.status.success(), "{}\n{program}", String::from_utf8_lossy(&output.stderr));
        let output = Command::new(&file).output().expect("the program just built can be run");
        assert!(output.status.success());
        std::fs::remove_file(&file).expect("the program just built can be removed");
        String::from_utf8(output.stdout).expect("the program prints ASCII")
    }
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

#[test]
fn every_constant_of_libzmq_is_defined_and_we_add_only_numbers_from_10000() {
    for (language, standard) in LANGUAGES {
        for draft in [false, true] {
            let (ours, theirs) = Header::pair(language, standard, draft);
            let (ours, theirs) = (ours.macros(), theirs.macros());
            assert!(theirs.len() > 180, "only {} macros found", theirs.len());
            let missing: Vec<_> = theirs.keys().filter(|name| !ours.contains_key(*name)).collect();
            assert!(missing.is_empty(), "{language}: not defined: {missing:?}");
            for (name, text) in ours.iter().filter(|(name, _)| !theirs.contains_key(*name)) {
                let number: i64 = text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number"));
                assert!(number >= 10_000, "{name} is {number}, which libzmq may give away one day");
            }
        }
    }
}

#[test]
fn values_sizes_and_function_types_are_those_of_libzmq() {
    for (language, standard) in LANGUAGES {
        for draft in [false, true] {
            let (ours, theirs) = Header::pair(language, standard, draft);
            // Asked of both alike: what libzmq's header has.
            let (macros, functions) = (theirs.macros(), theirs.functions());
            assert!(functions.len() > 60, "only {} functions found", functions.len());
            let (left, right) = (ours.facts(&macros, &functions), theirs.facts(&macros, &functions));
            for (left, right) in left.lines().zip(right.lines()) {
                assert_eq!(left, right, "{language} ({standard}), draft {draft}");
            }
            assert_eq!(left.lines().count(), right.lines().count());
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
    let fields = header.lines().filter_map(|line| line.trim().strip_prefix("uint64_t ")?.split(';').next());
    let debug = format!("{:?}", zlink::SocketStats::default());
    let known = debug.split(['{', ',']).filter_map(|part| part.split_once(": ").map(|(name, _)| name.trim()));
    let known: Vec<&str> = known.collect();
    assert!(known.len() > 10, "{debug}");
    assert_eq!(fields.collect::<Vec<_>>(), known);
}

#[test]
fn the_option_table_and_the_header_give_the_same_numbers() {
    let (ours, _) = Header::pair("c", "gnu17", true);
    let macros = ours.macros();
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
        assert_eq!(macros.get(&name), Some(&number), "{name}");
    }
}
