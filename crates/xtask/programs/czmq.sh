# title: czmq
# language: C
# tests: its own
# from: Debian, source
# packages: dpkg-dev gcc g++ cmake make pkg-config

prepare() {
  debian_source czmq
  PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig cmake -S source -B build -DCMAKE_PREFIX_PATH="$PREFIX" \
    -DCMAKE_BUILD_TYPE=Release -DENABLE_DRAFTS=OFF -DCMAKE_SKIP_RPATH=ON
  make -C build -j2 czmq_selftest
  ls czmq_*.orig.tar.* | sed 's/czmq_\(.*\)\.orig.*/\1/' >version
}

run() {
  export LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$WORK/build
  local passed=0 failed=0 test
  cd source
  for test in $(../build/czmq_selftest --list | grep -Eo '\bz[a-z0-9_]+\b' | sort -u); do
    if timeout -k 5 120 ../build/czmq_selftest --test "$test"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "failed: $test"
    fi
  done
  totals "$passed" "$failed" 0
}
