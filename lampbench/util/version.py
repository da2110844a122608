"""The version of lampbench."""

VERSION = "0.1.0"
