"""Numbers of the paper by action of Human3.6M: errors in mm, from its tables and its supplement.

Names say the network and the 2D input: detected keypoints, or exact ones (the projected ground truth). `_243` are the temporal
networks with 243 frames, `_PIXEL` those with the normalisation `pixel`; `_PA` is PA-MPJPE, the others are MPJPE. Numbers of FC
and LCN are those of their authors, which the paper quotes.
"""

ACTIONS = (  # of Human3.6M, in the order of the paper's tables
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting", "SittingDown"),
    *("Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether"),
)
AVERAGE = "average"


def _per_action(*values: float) -> dict[str, float]:
    return dict(zip((*ACTIONS, AVERAGE), values, strict=True))


SR_DETECTED = _per_action(44.5, 48.2, 47.1, 47.8, 51.2, 56.8, 50.1, 45.6, 59.9, 66.4, 52.1, 45.3, 54.2, 39.1, 40.3, 49.9)
SR_EXACT = _per_action(35.9, 36.7, 29.3, 34.5, 36.0, 42.8, 37.7, 31.7, 40.1, 44.3, 35.8, 37.2, 36.2, 33.7, 34.0, 36.4)
SR_PIXEL_EXACT = _per_action(32.9, 34.5, 27.6, 31.7, 33.5, 42.5, 35.1, 29.5, 38.9, 45.9, 33.3, 34.9, 34.4, 26.5, 27.1, 33.9)
FC_EXACT = _per_action(37.7, 44.4, 40.3, 42.1, 48.2, 54.9, 44.4, 42.1, 54.6, 58.0, 45.1, 46.4, 47.6, 36.4, 40.4, 45.5)
FC_DETECTED = _per_action(51.8, 56.2, 58.1, 59.0, 69.5, 78.4, 55.2, 58.1, 74.0, 94.6, 62.3, 59.1, 65.1, 49.5, 52.4, 62.9)
SR_243_DETECTED = _per_action(43.1, 47.1, 43.9, 41.6, 45.8, 49.6, 46.5, 40.0, 53.4, 61.1, 46.1, 42.6, 46.6, 31.5, 32.6, 44.8)
SR_243_DETECTED_TABLE_10 = SR_243_DETECTED | {"Directions": 46.6, "WalkDog": 43.1}  # the supplement's Table 3 differs here
SR_243_EXACT = _per_action(34.8, 32.1, 28.5, 30.7, 31.4, 36.9, 35.6, 30.5, 38.9, 40.5, 32.5, 31.0, 29.9, 22.5, 24.5, 32.0)
FC_243_DETECTED = _per_action(45.2, 46.7, 43.3, 45.6, 48.1, 55.1, 44.6, 44.3, 57.3, 65.8, 47.1, 44.0, 49.0, 32.8, 33.9, 46.8)
CROSS_ACTION_DETECTED = {  # by training action; FC is by Martinez et al., LCN by Ci et al.
    "FC": _per_action(
        127.3, 104.6, 95.0, 116.1, 95.5, 117.4, 111.4, 125.0, 116.9, 93.6, 111.0, 126.0, 131.0, 106.3, 140.5, 114.5
    ),
    "LCN": _per_action(102.8, 88.6, 79.1, 99.3, 80.0, 91.5, 93.2, 89.6, 90.4, 76.6, 89.6, 102.1, 108.8, 90.8, 118.9, 93.4),
    "SR": _per_action(92.3, 71.4, 71.8, 86.4, 66.8, 79.1, 82.5, 86.6, 88.9, 93.4, 66.1, 83.0, 74.4, 90.0, 97.8, 82.0),
}
CROSS_ACTION_EXACT = {
    "FC, pixel": _per_action(117.0, 67.4, 62.6, 93.0, 59.5, 72.8, 66.7, 80.0, 71.2, 71.6, 58.6, 75.2, 73.3, 114.9, 125.0, 80.6),
    "SR, basic": _per_action(91.1, 54.8, 59.0, 71.2, 50.9, 61.5, 65.0, 71.4, 76.6, 74.0, 50.3, 64.8, 58.1, 78.0, 85.8, 67.5),
    "SR, pixel": _per_action(86.2, 53.0, 55.0, 70.5, 47.9, 57.9, 63.1, 68.4, 71.2, 72.9, 47.5, 59.4, 56.3, 70.8, 83.8, 64.3),
}
CROSS_ACTION_EXACT_PA = {
    "FC, pixel": _per_action(91.9, 55.3, 51.8, 75.2, 49.3, 60.6, 57.3, 64.7, 62.2, 60.6, 49.5, 62.7, 61.3, 95.4, 99.8, 60.5),
    "SR, basic": _per_action(65.9, 42.4, 46.3, 54.5, 39.8, 46.6, 50.6, 55.8, 58.4, 57.4, 39.3, 49.6, 45.0, 56.7, 61.8, 51.3),
    "SR, pixel": _per_action(61.7, 42.0, 44.2, 53.1, 38.5, 45.2, 49.5, 53.6, 55.5, 55.5, 37.9, 46.4, 43.8, 54.7, 59.7, 49.4),
}
SR_DETECTED_PA = _per_action(35.8, 39.2, 36.6, 36.9, 39.8, 45.1, 38.4, 36.9, 47.7, 54.4, 38.6, 36.3, 39.4, 30.3, 35.4, 39.4)
SR_EXACT_PA = _per_action(26.0, 28.9, 23.7, 26.9, 27.4, 33.1, 27.9, 25.0, 32.4, 40.9, 28.8, 29.2, 29.3, 23.3, 24.5, 28.5)
SR_PIXEL_EXACT_PA = _per_action(24.1, 28.6, 24.2, 26.6, 26.3, 35.1, 27.7, 24.5, 32.8, 39.1, 27.8, 28.0, 29.6, 22.3, 23.0, 28.0)
SR_243_DETECTED_PA = _per_action(31.9, 33.7, 34.7, 35.0, 35.5, 42.8, 36.4, 30.5, 43.6, 51.3, 36.7, 32.5, 36.5, 27.5, 25.7, 34.9)
SR_243_EXACT_PA = _per_action(23.7, 25.2, 22.9, 23.1, 24.0, 28.7, 25.0, 22.1, 31.8, 32.8, 24.8, 23.5, 23.4, 17.0, 18.3, 24.3)
FC_DETECTED_PA = _per_action(39.5, 43.2, 46.4, 47.0, 51.0, 56.0, 41.4, 40.6, 56.5, 69.4, 49.2, 45.0, 49.5, 38.0, 43.1, 47.7)
FC_243_DETECTED_PA = _per_action(34.1, 36.1, 34.4, 37.2, 36.4, 42.2, 34.4, 33.6, 45.0, 52.5, 37.4, 33.8, 37.8, 25.6, 27.3, 36.5)
