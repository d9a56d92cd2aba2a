"""The networks, written in Flax linen, and prediction of whole sequences."""
