# title: jupyter_client, with kernels of ipykernel
# language: Python
# tests: jupyter_client's own
# from: PyPI
# packages: python3-venv g++ pkg-config

prepare() {
  python_with_pyzmq pytest pytest-timeout pytest-jupyter ipykernel jupyter_client==8.6.3 hatchling anyio
  pypi_source jupyter_client==8.6.3
  mv source/tests .
  echo 8.6.3 >version
}

run() {
  # Provisioning and ssh have nothing to do with messages.
  pytest_totals --timeout 120 tests --ignore tests/test_provisioning.py --ignore tests/test_ssh.py
}
