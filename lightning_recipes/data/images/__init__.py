"""One picture: decoded, of any bit depth, as an array."""
