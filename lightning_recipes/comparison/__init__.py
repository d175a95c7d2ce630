"""Which of several runs is better, and whether that is sure: paired by image, over seeds, and what it takes to know."""
