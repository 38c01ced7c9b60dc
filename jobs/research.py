"""Run a campaign on a running Ray cluster:

    ray job submit --working-dir . -- python jobs/research.py jobs/quickstart.toml [key=value ...]

It is `aar run`: it resumes a campaign that was interrupted, prints a line whenever something changes, ends with the
leaderboard, and its exit code is 0 only if the campaign is finished.
"""

import sys

from aar.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
