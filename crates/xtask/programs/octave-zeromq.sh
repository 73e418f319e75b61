# title: octave-zeromq
# language: Octave
# tests: its own
# from: Debian
# packages: octave-zeromq

prepare() {
  debian_version octave-zeromq >version
}

run() {
  octave-cli --no-gui --eval 'pkg load zeromq
    [passed, all, xfail, xbug, skipped] = test ("/usr/share/octave/packages/zeromq-1.5.5/zmq_test.m", "quiet");
    printf ("%d passed, %d failed, %d skipped\n", passed, all - passed - xfail - xbug - skipped, skipped);'
}
