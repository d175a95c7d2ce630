"""Images of a trained generator, as files in class folders."""
