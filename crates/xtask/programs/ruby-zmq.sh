# title: ffi-rzmq
# language: Ruby
# tests: ours
# from: Debian
# packages: ruby ruby-ffi-rzmq

prepare() {
  debian_version ruby-ffi-rzmq >version
}

run() {
  own_totals timeout -k 5 120 ruby "$PROGRAMS/own/round_trips.rb"
}
