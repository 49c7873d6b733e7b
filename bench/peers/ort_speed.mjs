#!/usr/bin/env node
// Latency of eke against ONNX Runtime in one run, as a line of JSON a model: rounds in which both engines run in turn.
//   ort_speed.mjs EKE --models a.onnx,b.onnx [--threads N] [--rounds N] [--runs N]
// `ratio` is ONNX Runtime's time over eke's: of the medians of each round, their median and spread, and of the least times
// of all rounds. `ort_int8` counts the convolutions and products that ONNX Runtime really runs on integers, after its own
// optimization, and `ort_float` those that it runs on floats: it drops to float without a word where a fusion fails.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nodeTypes } from './onnx_nodes.mjs';
import { ort, firstInput, openSession, parseArgs, quantile } from './ort.mjs';

const args = parseArgs(['models', 'threads', 'rounds', 'runs'],
  'usage: ort_speed.mjs EKE --models a.onnx,b.onnx [--threads N] [--rounds N] [--runs N]');
const eke = args._[0];
const threads = Number(args.threads ?? 1), rounds = Number(args.rounds ?? 9), runs = Number(args.runs ?? 30);

async function ortRounds(session, feeds) {
  const times = [];
  for (let i = 0; i < runs; i++) {
    const begin = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  return times.sort((a, b) => a - b);
}

function ekeRound(model) {
  const text = execFileSync(eke, ['bench', model, '--json', '--threads', threads, '--runs', runs, '--warmup', 5], { encoding: 'utf8' });
  const { ms } = JSON.parse(text).models[0];
  return { least: ms.least, median: ms.median };
}

// What became of the products in ONNX Runtime's own optimized graph.
function products(file) {
  const types = nodeTypes(fs.readFileSync(file));
  const count = (names) => names.reduce((sum, name) => sum + (types[name] ?? 0), 0);
  return {
    ort_int8: count(['QLinearConv', 'QLinearMatMul', 'QGemm', 'MatMulInteger', 'ConvInteger', 'MatMulIntegerToFloat']),
    ort_float: count(['Conv', 'FusedConv', 'Gemm', 'FusedGemm', 'MatMul', 'FusedMatMul']),
  };
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'eke-ort-'));
try {
  for (const model of args.models.split(',')) {
    const optimized = path.join(folder, 'optimized.onnx');
    const session = await openSession(model, threads, 'all', optimized);
    const { name, dtype, dims } = firstInput(session);
    const size = dims.reduce((a, b) => a * b, 1);
    const Values = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }[dtype];
    const feeds = { [name]: new ort.Tensor(dtype, Values.from({ length: size }, (_, i) => (i * 37) % 101), dims) };
    await ortRounds(session, feeds);
    const ours = [], theirs = [], ratios = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(ekeRound(model));
      const times = await ortRounds(session, feeds);
      theirs.push({ least: times[0], median: quantile(times, 0.5) });
      ratios.push(theirs[round].median / ours[round].median);
    }
    ratios.sort((a, b) => a - b);
    const least = (list) => Math.min(...list.map((x) => x.least));
    const median = (list) => quantile(list.map((x) => x.median).sort((a, b) => a - b), 0.5);
    console.log(JSON.stringify({
      model: path.basename(model), threads, rounds, runs, ...products(optimized),
      eke_ms: { least: least(ours), median: median(ours) }, ort_ms: { least: least(theirs), median: median(theirs) },
      ratio: { median: quantile(ratios, 0.5), p10: quantile(ratios, 0.1), p90: quantile(ratios, 0.9), of_least: least(theirs) / least(ours) },
    }));
    await session.release();
  }
} finally {
  fs.rmSync(folder, { recursive: true });
}
