"""Make small videos whose images encode the frame number, for tests that read videos."""

import fractions
import struct

import av
import numpy as np

CLOCK = fractions.Fraction(1, 90_000)
STEP = 4  # increase of red from frame to frame


def numbered(count, size=(64, 48)):
    """Return images [N, H, W, 3] whose red is STEP times the frame's number; the upper left corner is blue."""
    images = np.zeros((count, size[1], size[0], 3), np.uint8)
    images[..., 0] = (STEP * np.arange(count))[:, None, None]
    images[:, : size[1] // 3, : size[0] // 3] = (0, 0, 255)
    return images


def number(image):
    """Return the frame number of an image of `numbered`, in any rotation."""
    height, width = image.shape[:2]
    return round(float(image[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4, 0].mean()) / STEP)


def blue_corner(image):
    """Return whether the blue corner is at the bottom, and whether it is at the right."""
    blue = image[..., 2].astype(int) - image[..., 0] > 100
    rows, columns = np.nonzero(blue)
    return bool(rows.mean() > image.shape[0] / 2), bool(columns.mean() > image.shape[1] / 2)


def write(path, images, times, *, metadata=None, keys_every=10, options=None):
    """Write an H.264 video of images at the given seconds, with a key frame at least every n-th frame."""
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream("libx264", rate=30, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = images.shape[2], images.shape[1], "yuv444p"
        stream.codec_context.time_base = stream.time_base = CLOCK
        stream.codec_context.gop_size = keys_every
        for image, seconds in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(seconds / CLOCK), CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turned_by_metadata(path, target, width, height):
    """Copy an .mp4 and set a clockwise rotation by 90 degrees in its track header, as phones do.

    The matrix takes (x, y) to (height - y, x): ISO/IEC 14496-12, 8.3.2; its rows have 16.16, 16.16 and 2.30 bits.
    """
    data = bytearray(path.read_bytes())
    begin = data.index(b"tkhd") + 4
    begin += 4 + (20 if data[begin] == 0 else 32) + 16
    one = 1 << 16
    data[begin : begin + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, height * one, 0, 1 << 30)
    target.write_bytes(data)
    return target
