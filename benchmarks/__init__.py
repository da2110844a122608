"""What the batched engine costs, compared with its peers in paired runs. See README.md."""
