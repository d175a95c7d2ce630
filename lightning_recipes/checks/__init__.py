"""What is tried of a recipe before it trains: each check is a function that says what it measured and expected."""
