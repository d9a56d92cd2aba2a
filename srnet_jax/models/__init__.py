"""The networks, in Flax linen."""
