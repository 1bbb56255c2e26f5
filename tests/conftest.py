"""One thread of linear algebra a test process, as in the command line: more fight over the cores of `pytest -n 2`."""

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read once, when numpy is first imported
