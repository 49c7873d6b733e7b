#!/usr/bin/env python3
"""Times training steps of PyTorch on the CPU, as one line of JSON: the peer of eke train in train_speed.py.

  torch_train.py --network NAME [--size N] [--batch N] [--threads N] [--steps N] [--head-only] [--bf16]

Full fine-tuning is forward, loss, backward and SGD with Nesterov momentum; --head-only runs the network without gradients
and trains the classifier alone. Images are random and lie in memory: decoding and augmentation are not counted."""
import argparse
import contextlib
import json
import resource
import time

import torch
from torch import nn


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return layers + ([act()] if act else [])


class Residual(nn.Module):
    """`body(x)` plus x or its projection, then an activation where there is one."""

    def __init__(self, body, skip=None, act=None):
        super().__init__()
        self.body, self.skip, self.act = nn.Sequential(*body), nn.Sequential(*skip) if skip else None, act

    def forward(self, x):
        y = self.body(x) + (self.skip(x) if self.skip else x)
        return self.act(y) if self.act else y


def inverted_residual(inputs, outputs, stride, expand):
    hidden = inputs * expand
    body = conv_bn(inputs, hidden, 1, act=nn.ReLU6) if expand > 1 else []
    body += conv_bn(hidden, hidden, 3, stride, hidden, nn.ReLU6) + conv_bn(hidden, outputs, 1)
    return Residual(body) if stride == 1 and inputs == outputs else nn.Sequential(*body)


def mobilenet_v2():
    layers, inputs = conv_bn(3, 32, 3, 2, act=nn.ReLU6), 32
    for expand, outputs, count, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                           (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(count):
            layers.append(inverted_residual(inputs, outputs, stride if i == 0 else 1, expand))
            inputs = outputs
    return layers + conv_bn(320, 1280, 1, act=nn.ReLU6), 1280


def mobilenet_v1_025():
    layers, inputs = conv_bn(3, 8, 3, 2, act=nn.ReLU6), 8
    for outputs, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]:
        layers += conv_bn(inputs, inputs, 3, stride, inputs, nn.ReLU6) + conv_bn(inputs, outputs, 1, act=nn.ReLU6)
        inputs = outputs
    return layers, 256


def resnet18():
    layers, inputs = conv_bn(3, 64, 7, 2, act=nn.ReLU) + [nn.MaxPool2d(3, 2, 1)], 64
    for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        for i in range(2):
            s = stride if i == 0 else 1
            body = conv_bn(inputs, outputs, 3, s, act=nn.ReLU) + conv_bn(outputs, outputs, 3)
            skip = conv_bn(inputs, outputs, 1, s) if s > 1 or inputs != outputs else None
            layers.append(Residual(body, skip, nn.ReLU()))
            inputs = outputs
    return layers, 512


NETWORKS = {"mobilenet_v1_025": mobilenet_v1_025, "mobilenet_v2": mobilenet_v2, "resnet18": resnet18}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=list(NETWORKS), required=True)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--head-only", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    layers, features = NETWORKS[args.network]()
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = nn.Linear(features, args.classes)
    if args.head_only:
        backbone.eval().requires_grad_(False)
    trained = list(head.parameters()) + ([] if args.head_only else list(backbone.parameters()))
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    images = torch.randn(args.batch, 3, args.size, args.size).contiguous(memory_format=torch.channels_last)
    backbone = backbone.to(memory_format=torch.channels_last)
    labels = torch.randint(args.classes, (args.batch,))
    cast = torch.autocast("cpu", dtype=torch.bfloat16) if args.bf16 else contextlib.nullcontext()
    times = []
    for _ in range(args.steps):
        begin = time.perf_counter()
        with cast:
            if args.head_only:
                with torch.no_grad():
                    x = backbone(images)
            else:
                x = backbone(images)
            value = loss(head(x), labels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        times.append(1000 * (time.perf_counter() - begin))
    times = sorted(times[min(3, len(times) // 2):])
    print(json.dumps({"torch": torch.__version__, "steps": len(times), "least": times[0],
                      "median": times[len(times) // 2],
                      "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main()
