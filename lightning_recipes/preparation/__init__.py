"""Data made ready: bad files, copies and wrong labels taken out or mended, and what is left split."""
