"""Where labelled images are kept: folders, archives, CSV files, data sets by name."""
