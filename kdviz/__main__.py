"""python -m kdviz"""

import sys

from kdviz.cli import main

if __name__ == "__main__":
    sys.exit(main())
