"""Evaluate trained networks on a test set: errors, rankings by rarity, tables and figures."""
