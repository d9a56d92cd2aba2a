/** Run the networks of this folder with onnxruntime-web, on one thread. */

import * as ort from './onnxruntime/ort.js';

const own = (name) => new URL(`onnxruntime/${name}`, import.meta.url).href;
ort.env.wasm.numThreads = 1; // several threads need headers that not every server sends
ort.env.wasm.wasmPaths = { mjs: own('ort-wasm.js'), wasm: own('ort-wasm.wasm') };

/**
 * Load a network.
 *
 * @param {string} name of its file, without `.onnx`
 * @param {object} facts of `lifting_tables.facts`
 * @returns {Promise<import('./lift.js').Network>}
 */
export async function openNetwork(name, facts) {
  const answer = await fetch(new URL(`${name}.onnx`, import.meta.url));
  if (!answer.ok) throw new Error(`${name}.onnx: the server answered ${answer.status}, expected the file`);
  const session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()), { executionProviders: ['wasm'] });
  return {
    facts,
    async run(inputs, batch, frames) {
      const given = new ort.Tensor('float32', inputs, [batch, frames, inputs.length / batch / frames / 2, 2]);
      const { poses_3d: poses } = await session.run({ inputs_2d: given });
      return poses.data;
    },
  };
}
