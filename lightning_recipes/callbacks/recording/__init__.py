"""What every run writes into its folder: summary, figures, report, recipe."""
