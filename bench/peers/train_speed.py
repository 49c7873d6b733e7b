#!/usr/bin/env python3
"""Training steps of eke against PyTorch on the CPU, in turn, as a line of JSON a case:

  train_speed.py build/release/bin/eke --data IMAGES [--rounds N] [--threads N] [--cases a,b] [--precision f32|bf16] [--python PYTHON]

Cases, batches of 16: mobilenet_v2 (96x96), resnet18 (112x112), mobilenet_v1_025 (128x128), head (MobileNet v2 frozen, its head alone). Each round
runs a process of either. PyTorch gets the allocator that it needs (MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ at
2000000000: half of its time goes into page faults without); its images lie ready in memory, while eke normalizes each batch
from bytes on the way. `ratio` is PyTorch's time over eke's, of the medians over rounds of the median step; `least` the same
of the shortest step of all. `memory` is eke's peak resident memory over PyTorch's. Of `head` eke computes features once, in
int8, and the time is that of its pass over the images, without the calibration of the int8 network; PyTorch's is a step.
With --precision bf16 either multiplies in bfloat16 (PyTorch by autocast); `head` takes no part in that."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# The architecture of eke new and its further arguments, that of torch_train.py, the size of the images.
CASES = {"mobilenet_v2": (["mobilenet_v2"], "mobilenet_v2", 96), "resnet18": (["resnet18"], "resnet18", 112),
         "mobilenet_v1_025": (["mobilenet_v1", "--width", "0.25"], "mobilenet_v1_025", 128),
         "head": (["mobilenet_v2"], "mobilenet_v2", 96)}
BATCH = 16


def run(command, env=None):
    """The child's standard output and its peak resident memory in bytes."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return text, 1024 * usage.ru_maxrss


def eke_round(args, folder, case, size):
    model = os.path.join(folder, case + ".onnx")
    if not os.path.exists(model):
        run([args.eke, "new", *CASES[case][0], "--input", str(size), "--classes", "40", "-o", model])
    command = [args.eke, "train", model, "--data", args.data, "--normalization", "imagenet", "--size", str(size),
               "--validation", "0", "--threads", str(args.threads), "--json", "-o", os.path.join(folder, "out.onnx")]
    if case == "head":
        text, peak = run(command + ["--epochs", "0", "--features", "none", "--meter", "none"])
        report = json.loads(text)
        head = report["head"]
        each = 1000 * (head["feature_seconds"] - head["calibration_seconds"]) / report["train_images"]
        return {"median": each * BATCH, "least": each * BATCH, "peak": peak}
    command += ["--from-scratch", "--epochs", "1", "--batch", str(BATCH), "--augment", "none", "--rate", "0.001",
                "--warm-up", "0", "--meter", "none", "--precision", args.precision]
    text, peak = run(command)
    step = json.loads(text)["fine_tuning"]["step_ms"]
    return {"median": step["median"], "least": step["least"], "peak": peak}


def torch_round(args, case, size):
    tuned = dict(os.environ, MALLOC_MMAP_THRESHOLD_="2000000000", MALLOC_TRIM_THRESHOLD_="2000000000",
                 OMP_NUM_THREADS=str(args.threads))
    command = [args.python, os.path.join(HERE, "torch_train.py"), "--network", CASES[case][1], "--size", str(size),
               "--batch", str(BATCH), "--threads", str(args.threads), "--steps", str(args.steps)]
    command += ["--head-only"] if case == "head" else ["--bf16"] if args.precision == "bf16" else []
    text, peak = run(command, tuned)
    step = json.loads(text)
    return {"median": step["median"], "least": step["least"], "peak": peak, "torch": step["torch"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("eke")
    parser.add_argument("--data", required=True, help="a folder per class; 320 images or so")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--steps", type=int, default=20, help="of PyTorch in a round")
    parser.add_argument("--python", default="/usr/bin/python3")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in args.cases.split(","):
            size = CASES[case][2]
            ours, theirs = [], []
            for _ in range(args.rounds):
                ours.append(eke_round(args, folder, case, size))
                theirs.append(torch_round(args, case, size))
            mid = lambda rounds, key: statistics.median(r[key] for r in rounds)
            least = lambda rounds: min(r["least"] for r in rounds)
            ratios = [b["median"] / a["median"] for a, b in zip(ours, theirs)]
            print(json.dumps({
                "case": case, "size": size, "batch": BATCH, "precision": args.precision, "threads": args.threads, "rounds": args.rounds,
                "eke_images_per_second": 1000 * BATCH / mid(ours, "median"),
                "torch_images_per_second": 1000 * BATCH / mid(theirs, "median"),
                "ratio": mid(theirs, "median") / mid(ours, "median"), "ratios": ratios,
                "ratio_of_least": least(theirs) / least(ours),
                "eke_peak_bytes": mid(ours, "peak"), "torch_peak_bytes": mid(theirs, "peak"),
                "memory": mid(ours, "peak") / mid(theirs, "peak"), "torch": theirs[0]["torch"]}), flush=True)


if __name__ == "__main__":
    main()
