"""`python -m aar` is `aar`."""

from aar.cli import main

main()
