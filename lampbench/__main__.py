"""`python -m lampbench`."""

from lampbench.cli.main import main

main()
