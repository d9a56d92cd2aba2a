"""The networks that experiments compare, each as the config fields that differ from the paper's settings."""

from typing import Any

FC = {"model.network": "fc"}
SR: dict[str, Any] = {"model.network": "sr"}
SFS = {"model.network": "sfs", "model.link_layers": 2, "model.split_ends": False}
CONCAT = SR | {"model.recombine": "concat"}
WIDE = CONCAT | {"model.context_dim": 0.5}  # the network of configs/sr_wide.py
WIDE_NAME = "SR-wide (ours)"
PIXEL = {"model.normalization": "pixel"}
SEMGCN = {"model.network": "semgcn", "model.channels": 128, "model.filter_widths": (1,) * 5, "model.activation": "relu"}
LCN: dict[str, Any] = {"model.network": "lcn", "model.channels": 64, "model.dropout": 0.25}
