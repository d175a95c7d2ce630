"""What a trainer trains: modules with stages, classifiers, ensembles of them."""
