"""Tables made from recorded runs and the paper's published numbers, and from nothing else."""
