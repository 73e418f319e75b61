# title: php-zmq
# language: PHP
# tests: its own
# from: Debian
# packages: dpkg-dev php-cli php8.2-dev php8.2-zmq

prepare() {
  apt-get source -qq --download-only --only-source php-zmq || true
  mkdir source
  tar -x -C source -f php-zmq_*.orig.tar.*
  mv source/zmq-*/tests tests
  debian_version php8.2-zmq >version
}

run() {
  NO_INTERACTION=1 php /usr/lib/php/20220829/build/run-tests.php -q --set-timeout 60 -p /usr/bin/php tests \
    >tests.log 2>&1 || true
  cat tests.log
  sed -n '/^FAILED TEST SUMMARY/,$s/.*\[\(tests\/.*\)\].*/failed: \1/p' tests.log
  count() { sed -n "s/^Tests $1 *: *\([0-9]*\).*/\1/p" tests.log; }
  totals "$(count passed)" "$(count failed)" "$(count skipped)"
}
