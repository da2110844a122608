"""The version of lampbench."""

VERSION = "0.2.0"
