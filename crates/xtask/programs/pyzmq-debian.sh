# title: python3-zmq
# language: Python
# tests: its own
# from: Debian
# packages: python3-zmq python3-pytest python3-pytest-timeout python3-tornado

prepare() {
  debian_version python3-zmq >version
}

run() {
  PYTHON=/usr/bin/python3 pytest_totals --timeout 60 --pyargs zmq.tests
}
