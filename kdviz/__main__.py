"""python -m kdviz"""

import os
import sys

# Threads of a pool that spin while they wait take the core from the one they wait for: on a busy machine two threads
# are then several times slower than one. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from kdviz.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
