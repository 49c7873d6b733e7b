// What the scripts for ONNX Runtime share: arguments, sessions, inputs.
import { createRequire } from 'node:module';
import { readNpy } from './npy.mjs';

const require = createRequire(import.meta.url);
export const ort = require('onnxruntime-node');

// { _: [positional...], name: value } from "--name value"; a flag that is not in `known` ends the program with 2.
export function parseArgs(known, usage) {
  const result = { _: [] };
  const words = process.argv.slice(2);
  const stop = (message) => { console.error(`${message}\n${usage}`); process.exit(2); };
  for (let i = 0; i < words.length; i++) {
    if (!words[i].startsWith('--')) { result._.push(words[i]); continue; }
    const name = words[i].slice(2);
    if (!known.includes(name)) stop(`unknown option --${name}`);
    if (i + 1 >= words.length) stop(`--${name} wants a value`);
    result[name] = words[++i];
  }
  if (result._.length !== 1) stop('one model is wanted');
  return result;
}

// `optimized` names a file for the graph that is really run.
export function openSession(model, threads, optimization = 'all', optimized = undefined) {
  return ort.InferenceSession.create(model, {
    intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential',
    graphOptimizationLevel: optimization, logSeverityLevel: 3,
    ...(optimized ? { optimizedModelFilePath: optimized } : {}),
  });
}

export function tensorFromNpy(file) {
  const { dtype, shape, data } = readNpy(file);
  return new ort.Tensor(dtype, data, shape);
}

// The session's only image input: its name and shape, dynamic extents replaced by `shape` or by 1.
export function firstInput(session, shape) {
  const meta = session.inputMetadata?.[0];
  const dims = shape ? shape.split(/[x,]/).map(Number) : (meta?.shape ?? []).map((d) => (typeof d === 'number' && d > 0 ? d : 1));
  return { name: session.inputNames[0], dtype: meta?.type ?? 'float32', dims };
}

export const quantile = (sorted, q) => {
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
};
