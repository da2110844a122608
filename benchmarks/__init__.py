"""What the engine costs, against named peers, in paired runs. See README.md."""
