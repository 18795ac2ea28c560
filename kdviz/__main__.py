"""python -m kdviz"""

import os
import sys


def main() -> int:
    """The command line; a Ctrl-C that comes while it is still being imported ends it without a word more."""
    try:
        from kdviz.machine import is_busy

        # Threads that spin while they wait take the core from the thread they wait for: beside two other
        # programs on two cores a step took 1.0-2.4 s instead of 0.3-0.6 s. On a machine of one's own spinning
        # is the faster way (0.12 s instead of 0.15 s). OpenMP reads this once, when torch is imported.
        if is_busy():
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from kdviz.cli import main as command

        return command()
    except KeyboardInterrupt:
        print("kdviz: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
