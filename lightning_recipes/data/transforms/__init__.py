"""How a picture becomes an input: resizing, augmentation, mixing."""
