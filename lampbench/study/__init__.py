"""Several runs with one question: sweeps, the paper's experiments, estimates, diagnosis."""
