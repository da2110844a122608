"""One file per published layout: lamp, oppu, longlamp, lampbench_layout; and what they share."""
