# title: the crate zmq
# language: Rust
# tests: its own
# from: crates.io
# packages: gcc

VERSION=0.10.0

prepare() {
  mkdir fetch
  printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[lib]\npath = "/dev/null"\n[dependencies]\nzmq = "=%s"\n[workspace]\n' \
    "$VERSION" >fetch/Cargo.toml
  (cd fetch && cargo vendor -q >/dev/null)
  cp -r fetch/vendor/zmq source
  # In place of the libzmq that zmq-sys would build; and outside the workspace this may lie in.
  mkdir source/.cargo
  printf '[target.x86_64-unknown-linux-gnu.zmq]\nrustc-link-lib = ["zmq"]\nrustc-link-search = ["%s"]\n' \
    "$PREFIX/lib" >source/.cargo/config.toml
  echo '[workspace]' >>source/Cargo.toml
  # They compare messages of one version of the compiler.
  rm -r source/tests/compile-tests.rs source/tests/compile-fail
  (cd source && CARGO_TARGET_DIR=$WORK/target cargo test -q --no-run)
  echo "$VERSION" >version
}

run() {
  cd source
  CARGO_TARGET_DIR=$WORK/target cargo test --offline --no-fail-fast >tests.log 2>&1 || true
  cat tests.log
  sed -n 's/^test \(.*\) \.\.\. FAILED/failed: \1/p' tests.log
  count() { grep '^test result' tests.log | grep -Eo "[0-9]+ $1" | awk '{n += $1} END {print n + 0}'; }
  totals "$(count passed)" "$(count failed)" "$(count ignored)"
}
