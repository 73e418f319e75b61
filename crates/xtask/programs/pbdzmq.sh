# title: pbdZMQ
# language: R
# tests: its own
# from: Debian
# packages: r-cran-pbdzmq

prepare() {
  cp -r /usr/share/doc/r-cran-pbdzmq/tests .
  debian_version r-cran-pbdzmq >version
}

run() {
  # R puts its own folders and the system's first otherwise.
  export R_LD_LIBRARY_PATH=$LD_LIBRARY_PATH:/usr/lib/R/lib
  cd tests
  for test in *.R; do
    timeout -k 5 60 Rscript "$test" && echo "ok $test" || echo "failed: $test"
  done >../tests.log 2>&1
  cat ../tests.log
  totals "$(grep -c '^ok ' ../tests.log || true)" "$(grep -c '^failed: ' ../tests.log || true)" 0
}
