"""The run folder: made, read again, gone on with, and told in a report."""
