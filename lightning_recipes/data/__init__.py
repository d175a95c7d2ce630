"""The data room: images from wherever they are, to batches."""
