"""Measure only the baselines of a problem, and print them: teacher, vanilla and ceiling, seed by seed.

    python jobs/baselines.py jobs/quickstart.toml [key=value ...] [--dataset NAME] [--json]
    ray job submit --working-dir . -- python jobs/baselines.py jobs/quickstart.toml

It is `aar baselines`; its folder is the campaign's with "-baselines" after its name.
"""

import sys

from aar.cli import main

if __name__ == "__main__":
    main(["baselines", *sys.argv[1:]])
