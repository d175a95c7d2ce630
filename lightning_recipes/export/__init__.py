"""Models as files that others run: with everything between a picture and its probabilities, and proven on pictures."""
