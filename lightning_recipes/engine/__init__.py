"""All contact with the inside of Lightning's trainer."""
