"""Lift 2D keypoints to 3D, from a detector's file or from a video; the installed command `srnet-lift` is the same.

python -m launch.predict --keypoints=FILE --layout=coco --width=1920 --height=1080 --fps=30 --output=poses.npz
"""

from srnet_jax.commands import predict

if __name__ == "__main__":
    predict.run("python -m launch.predict")
