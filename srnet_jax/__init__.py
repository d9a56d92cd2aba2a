"""Split-and-recombine networks that lift 2D human keypoints to 3D poses, in JAX.

"The official code" in docstrings is the paper's PyTorch code, github.com/ailingzengzzz/Split-and-Recombine-Net, commit
1b6285c; "paper" and "supplement" are Zeng et al., SRNet, ECCV 2020 (arXiv 2007.09389).
"""
