"""What games of a discriminator and a generator share: networks, turns, players and monitors."""
