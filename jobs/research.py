"""Run a campaign on a Ray cluster that is already up:

    ray job submit --working-dir . -- python jobs/research.py jobs/quickstart.toml [key=value ...]

It is `aar run`: it goes on with a campaign that was interrupted, writes one line whenever something changes, ends with
the leaderboard, and its exit code is 0 only when the campaign is finished.
"""

import sys

from aar.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
