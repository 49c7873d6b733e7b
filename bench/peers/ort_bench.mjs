#!/usr/bin/env node
// Latency of a model in ONNX Runtime as JSON: ort_bench.mjs MODEL [--threads N] [--runs N] [--warmup N] [--shape 1x3x224x224]
import { ort, firstInput, openSession, parseArgs, quantile } from './ort.mjs';

const args = parseArgs(['threads', 'runs', 'warmup', 'shape'],
  'usage: ort_bench.mjs MODEL [--threads N] [--runs N] [--warmup N] [--shape 1x3x224x224]');
const threads = Number(args.threads ?? 1);
const session = await openSession(args._[0], threads);
const { name, dtype, dims } = firstInput(session, args.shape);
const size = dims.reduce((a, b) => a * b, 1);
const Values = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }[dtype];
const feeds = { [name]: new ort.Tensor(dtype, Values.from({ length: size }, (_, i) => (i * 37) % 101), dims) };
for (let i = 0; i < Number(args.warmup ?? 10); i++) await session.run(feeds);
const times = [];
for (let i = 0; i < Number(args.runs ?? 100); i++) {
  const begin = process.hrtime.bigint();
  await session.run(feeds);
  times.push(Number(process.hrtime.bigint() - begin) / 1e6);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({
  model: args._[0], engine: 'onnxruntime', shape: dims, threads, runs: times.length,
  median_ms: quantile(times, 0.5), p10_ms: quantile(times, 0.1), p90_ms: quantile(times, 0.9),
}));
