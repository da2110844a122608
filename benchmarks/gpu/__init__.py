"""Everything that a machine with a GPU is asked, in one run: `python -m benchmarks.gpu`."""
