"""Score cards: scores with their protocol, in files, and compared."""
