"""A model behind an HTTP address: pictures come in by POST, and go through the network in batches."""
