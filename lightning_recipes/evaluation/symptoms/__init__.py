"""What can be wrong with a training, told while it trains from what is logged anyway."""
