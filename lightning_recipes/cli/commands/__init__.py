"""Commands of our own, one a file; the command line puts its words into their arguments."""
