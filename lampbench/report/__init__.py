"""Tables and pages, made from recorded runs and the paper's published numbers alone."""
