"""Run a file of Python, named by the first argument, as the main program."""

import runpy
import sys

runpy.run_path(sys.argv[1], run_name="__main__")
