"""Largest values that are accepted, on the command line and in Python alike."""

LARGEST_SEED = 2**31 - 1
"""Every generator of random numbers takes a seed of 31 bits."""

LARGEST_COUNT = 10**9
"""Users, rows, records: more than there are, and still an ordinary integer everywhere."""

LARGEST_NUMBER = 2**53
"""Whole numbers of hyper-parameters: those that every reader of JSON reads exactly."""

LONGEST_TEXT = 4096
"""Characters of a text or path."""

LONGEST_NAME = 200
"""Characters of a name or title that is recorded."""

LARGEST_SCORE = 1e100
"""Scores, whatever their sign: their sums and squares stay finite too."""
