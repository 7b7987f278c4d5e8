"""The machinery of Silverlining: model (pure data), host (one Docker host), ops (what is done), console (what is seen)."""

import os
import sys

# Invoke keeps Python from writing bytecode (its flag --write-pyc turns that off), which suits a small tasks.py: each of our tasks would
# compile all these modules anew (6 % of `status`).
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
