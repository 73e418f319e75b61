# title: pyzmq
# language: Python
# tests: its own
# from: PyPI
# packages: python3-venv g++ pkg-config

prepare() {
  python_with_pyzmq pytest pytest-asyncio pytest-timeout tornado gevent cython setuptools
  pypi_source "pyzmq==$PYZMQ"
  mkdir suite
  cp -r source/tests source/pytest.ini suite
  echo "$PYZMQ" >version
}

run() {
  cd suite
  # test_mypy checks types, and needs no library.
  pytest_totals --timeout 60 tests --ignore tests/test_mypy.py
}
