# Functions for the scripts of programs. A script says in comments at its head what it is, and has two functions:
#
#   prepare   gets and builds the program in the current folder, $WORK, against the libzmq in $PREFIX, and writes its
#             version into the file `version`
#   run       runs its tests over the libzmq on the loader's path, prints `failed: NAME` for each that fails, and then
#             the totals

# totals PASSED FAILED SKIPPED
totals() {
  printf '%d passed, %d failed, %d skipped\n' "$1" "$2" "$3"
}

# The source of a Debian package, as upstream made it, into ./source. Needs deb-src in the list of sources.
debian_source() {
  # Only upstream's archive is wanted.
  apt-get source -qq --download-only --only-source "$1" || true
  mkdir -p source
  tar -x --strip-components 1 -C source -f "$1"_*.orig.tar.*
}

# The version of an installed Debian package.
debian_version() {
  dpkg-query -W -f '${Version}\n' "$1"
}

# A source archive from PyPI into ./source: NAME==VERSION
pypi_source() {
  "$WORK/venv/bin/pip" download -q --no-deps --no-binary :all: --no-build-isolation -d . "$1" 2>pip.log \
    || "$WORK/venv/bin/pip" download -q --no-deps --no-binary :all: -d . "$1"
  mkdir -p source
  tar -x --strip-components 1 -C source -f "${1%%==*}"-*.tar.gz
}

PYZMQ=27.3.0

# A virtual environment with pyzmq built against $PREFIX, its drafts too, and other packages.
python_with_pyzmq() {
  python3 -m venv venv
  # Not from pip's cache: the next build may be against another libzmq.
  PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig ZMQ_PREFIX=$PREFIX ZMQ_DRAFT_API=1 \
    venv/bin/pip install -q --no-cache-dir --no-binary pyzmq "pyzmq==$PYZMQ" "$@"
}

# Runs pytest with these arguments and prints the totals.
pytest_totals() {
  local log=$WORK/pytest.log
  "${PYTHON:-$WORK/venv/bin/python}" -m pytest -q -rf -p no:cacheprovider "$@" >"$log" 2>&1 || true
  cat "$log"
  sed -n 's/^FAILED \([^ ]*\).*/failed: \1/p; s/^ERROR \([^ ]*\).*/failed: \1/p' "$log"
  count() { grep -Eo "[0-9]+ $1" <<<"$summary" | cut -d' ' -f1 | awk '{n += $1} END {print n + 0}'; }
  local summary
  summary=$(grep -E '(passed|failed|error).* in [0-9.]+s' "$log" | tail -1)
  totals "$(count passed)" $(($(count failed) + $(count error))) "$(count skipped)"
}

# Runs Perl's prove with these arguments and prints the totals of single tests.
prove_totals() {
  prove -v "$@" >prove.log 2>&1 || true
  cat prove.log
  sed -n 's/^ *not ok [0-9]* *-* *\(.*\)/failed: \1/p' prove.log
  totals "$(grep -c '^ok' prove.log || true)" "$(grep -c '^not ok' prove.log || true)" \
    "$(grep -c 'skipped:' prove.log || true)"
}

# Prints the totals of a program that prints `ok NAME` and `failed: NAME` itself.
own_totals() {
  "$@" >own.log 2>&1 || echo "failed: the program's end" >>own.log
  cat own.log
  totals "$(grep -c '^ok ' own.log || true)" "$(grep -c '^failed: ' own.log || true)" 0
}
