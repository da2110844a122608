"""The report as one self-contained HTML file, made from recorded runs alone."""
