"""Measure how fast the page of `launch.export` lifts in Chromium; prints median milliseconds.

taskset -c 0 python -m docs.measure_page --site=page

It needs a folder that `launch.export --output=page/` wrote, Chromium, and the package playwright. The keypoints are made up:
the time does not depend on them.
"""

from absl import app

from docs.record_page import SITE, opened

_MEASURE = """async () => {
  const { openNetwork } = await import('./network.js');
  const { LiveLifter } = await import('./stream.js');
  const { complete } = await import('./complete.js');
  const { lift } = await import('./lift.js');
  const tables = await (await fetch('tables.json')).json();
  const [frames, joints, imageSize] = [600, 17, [1280, 720]];
  const times = { name: '', clip: '', layout: 'coco', joints, fps: 30, firstFrame: 0, every: 1, times: null, imageSize };
  const place = (frame, i) => 300 + 120 * Math.sin(1.7 * i) + 100 * (i % 2) + 5 * Math.sin(frame / 9 + i);
  const track = (first, count) => ({
    ...times,
    frames: count,
    keypoints: Float32Array.from({ length: 2 * joints * count }, (_, at) => place(first + Math.floor(at / 34), at % 34)),
    confidences: new Float32Array(joints * count).fill(0.9),
  });
  const median = async (rounds, call) => {
    const found = [];
    for (let round = 0; round < rounds; round += 1) {
      const began = performance.now();
      await call(round);
      found.push(performance.now() - began);
    }
    return found.sort((a, b) => a - b)[Math.floor(rounds / 2)];
  };
  const { network: own, live: causal } = tables.networks;
  const network = await openNetwork('network', own);
  const live = causal ? await openNetwork('live', causal) : network;
  const lifter = new LiveLifter(live, tables, { imageSize });
  const images = Array.from({ length: 300 }, (_, frame) => track(frame, 1));
  const windows = new Float32Array(frames * own.frames * joints * 2).fill(0.1);
  const whole = track(0, frames);
  return {
    [`${live.facts.name}, live: one frame, from keypoints to the filtered pose`]:
      await median(300, (frame) => lifter.push(complete(images[frame], tables))),
    [`${own.name}: the network alone, ${frames} frames in one batch`]:
      await median(5, () => network.run(windows, frames, own.frames)),
    [`${own.name}: ${frames} frames, from keypoints to the filtered motion in the room`]:
      await median(5, () => lift([complete(whole, tables)], [whole], network, tables)),
  };
}"""


def main(_: list[str]) -> None:
    """Serve the folder, measure, and print a line for each figure."""
    with opened(str(SITE.value)) as page:
        for name, milliseconds in page.evaluate(_MEASURE).items():
            print(f"{name}: {milliseconds:.3g} ms")


if __name__ == "__main__":
    app.run(main)
