#!/usr/bin/env node
// From file to first result, and memory: ort_start.mjs EKE --models a.onnx,b.onnx [--threads N] [--rounds N]
// A line of JSON a model. eke: a whole process, from its start to its end, with its peak resident memory. ONNX Runtime: a session opened
// and run once in a node process of its own, by the clock inside it; its memory is the process's peak less what the process held
// before the session was opened. Least of all rounds, engines in turn.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ort, firstInput, openSession, parseArgs } from './ort.mjs';
import { writeNpy } from './npy.mjs';

const args = parseArgs(['models', 'threads', 'rounds'],
  'usage: ort_start.mjs EKE --models a.onnx,b.onnx [--threads N] [--rounds N]');
const threads = Number(args.threads ?? 1), rounds = Number(args.rounds ?? 5);
const peakOf = (pid) => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function firstResult(model) { // in the child
  const before = peakOf('self');
  const begin = process.hrtime.bigint();
  const session = await openSession(model, threads);
  const { name, dtype, dims } = firstInput(session);
  const opened = process.hrtime.bigint();
  const input = { [name]: new ort.Tensor(dtype, new Float32Array(dims.reduce((a, b) => a * b, 1)), dims) };
  await session.run(input);
  const ms = (a, b) => Number(b - a) / 1e6;
  console.log(JSON.stringify({ dims, open_ms: ms(begin, opened), ms: ms(begin, process.hrtime.bigint()), mb: peakOf('self') - before }));
}

// Of a whole process, by GNU time: seconds and peak resident memory.
function ekeOnce(eke, model, input, folder) {
  const begin = process.hrtime.bigint();
  const run = spawnSync('/usr/bin/time', ['-f', '%M', eke, 'run', model, input, '--raw', folder, '--threads', threads], { encoding: 'utf8' });
  const ms = Number(process.hrtime.bigint() - begin) / 1e6;
  if (run.status !== 0) throw new Error(run.stderr);
  return { ms, mb: Number(run.stderr.trim().split('\n').pop()) / 1024 };
}

if (args._[0] === '-') {
  await firstResult(args.models);
} else {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'eke-start-'));
  const self = fileURLToPath(import.meta.url), input = path.join(folder, 'x.npy');
  try {
    for (const model of args.models.split(',')) {
      const theirs = [], ours = [];
      for (let round = 0; round < rounds; round++) {
        theirs.push(JSON.parse(execFileSync(process.execPath, [self, '-', '--models', model, '--threads', threads], { encoding: 'utf8' })));
        const dims = theirs[0].dims;
        writeNpy(input, { dtype: 'float32', shape: dims, data: new Float32Array(dims.reduce((a, b) => a * b, 1)) });
        ours.push(ekeOnce(args._[0], model, input, path.join(folder, 'out')));
      }
      const least = (list) => ({ ms: Math.min(...list.map((x) => x.ms)), mb: Math.min(...list.map((x) => x.mb)) });
      console.log(JSON.stringify({ model: path.basename(model), threads, rounds, eke: least(ours), ort: least(theirs) }));
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
