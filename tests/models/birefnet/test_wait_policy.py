import os
import subprocess
import sys

import pytest

CODE = "import rmbg_service.models.birefnet.attention"  # any module of the package


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings another OpenMP library")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("given", "spins"), [({}, 0), ({"OMP_WAIT_POLICY": "ACTIVE"}, 3 * 10**10)])
def test_threads_that_wait_sleep_unless_the_environment_says_otherwise(
    given: dict[str, str], spins: int
) -> None:
    variables = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=variables | {"OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
