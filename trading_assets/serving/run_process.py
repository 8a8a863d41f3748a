"""The process of one run, which ends with its worker: `python -m trading_assets.serving.run_process PARENT ...`, with
the process id of the worker and what `dagster api` is to do.

A process of its own, started and not forked: what the worker has open is not in it, and however it ends (memory, a
crash in native code, `kill -9`), the worker goes on.
"""

from __future__ import annotations

import runpy
import sys

from trading_assets.serving.parents import end_with_parent

if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    sys.argv = ["dagster", "api", *sys.argv[2:]]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)
