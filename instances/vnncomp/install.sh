#!/usr/bin/env bash
# Install hypersplit 0.1.0 into the environment whose pip is on PATH, for the VNN-LIB solver database; it leaves the
# executable `hypersplit` there.
set -euo pipefail

pip install hypersplit==0.1.0
