# title: aiozmq
# language: Python
# tests: its own
# from: PyPI
# packages: python3-venv g++ pkg-config

prepare() {
  python_with_pyzmq pytest pytest-timeout msgpack setuptools wheel
  venv/bin/pip install -q --no-deps aiozmq==1.0.0
  pypi_source aiozmq==1.0.0
  mv source/tests .
  # It is written for Python 3.10 and before.
  rm tests/rpc_test.py
  echo 1.0.0 >version
}

run() {
  pytest_totals --timeout 60 tests/*_test.py
}
