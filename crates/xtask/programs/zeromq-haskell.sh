# title: zeromq4-haskell
# language: Haskell
# tests: its own
# from: Debian
# packages: dpkg-dev ghc libghc-zeromq4-haskell-dev libghc-quickcheck2-dev libghc-tasty-dev libghc-tasty-hunit-dev libghc-tasty-quickcheck-dev

prepare() {
  debian_source haskell-zeromq4-haskell
  cd source/tests
  ghc -v0 -w -threaded -outputdir "$WORK/objects" -o "$WORK/tests" tests.hs
  debian_version libghc-zeromq4-haskell-dev >"$WORK/version"
}

run() {
  ./tests --timeout 120s >tests.log 2>&1 || true
  cat tests.log
  # Some tests have no name of their own.
  sed -n 's/^ *\(.*\): *FAIL.*/failed: \1/p' tests.log
  totals "$(grep -cE ': +OK' tests.log || true)" "$(grep -cE ': +FAIL' tests.log || true)" 0
}
