"""Callbacks: one technique a file, none knows another."""
