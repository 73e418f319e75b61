# title: Message::Passing::ZeroMQ, over ZMQ::FFI
# language: Perl
# tests: its own
# from: Debian
# packages: dpkg-dev perl libzmq-ffi-perl libmessage-passing-zeromq-perl libtest-fatal-perl

prepare() {
  debian_source libmessage-passing-zeromq-perl
  debian_version libmessage-passing-zeromq-perl >version
}

run() {
  # ZMQ::FFI looks for the library itself, and in the system's folders first.
  export FFI_CHECKLIB_PATH=$LD_LIBRARY_PATH
  cd source
  prove_totals -Ilib t/*.t
}
