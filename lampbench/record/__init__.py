"""What a run leaves on disk: manifest, predictions, scores; reading and writing them."""
