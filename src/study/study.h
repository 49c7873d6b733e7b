// The experiment: networks x ways to train and to quantize x threads x batch sizes, as cells. A cell is one run of a
// command, whose result is a file: plain data here, nothing is run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eke::study {

using Flags = std::vector<std::string>;

// What runs the models of a study.
inline constexpr const char *kCpu = "cpu", *kTensorRtGpu = "tensorrt-gpu", *kDla = "dla";

struct Network {
  std::string name;    // of files and of tables: letters, digits, '-', '_', '.'
  std::string model;   // ONNX; where it is empty:
  Flags architecture;  // what eke new takes
  Flags flags;         // how images become its input, as eke eval takes them
  int class_offset = 0;
  std::optional<Flags> train;  // of eke train, where the network is adapted to the data first
  std::optional<Flags> qat;    // of eke train --qat, where there is such a variant
};

// One labelled set for training and evaluation. An installed one has both parts; of others the first
// `train_per_class` of `per_class` images of each class train, or, where these are 0, an `evaluation_share` of each
// class is held out.
struct Division {
  std::string data;
  int per_class = 0, train_per_class = 0;
  double evaluation_share = 0.3;
};

// What a variant that is shipped has to keep.
struct Limits {
  double max_drop = 1;        // points of accuracy below the float variant
  double max_latency_ms = 0;  // 0: any
  double max_energy_j = 0;    // of an inference; 0: any
};

struct Study {
  std::string name;
  std::vector<Network> networks;
  std::optional<Division> division;  // in place of the first and the third of the following
  // Data sets. Networks train on the first, and calibration uses it where no other is named. Without the third, what
  // calibration leaves over is evaluated.
  std::string training, calibration, evaluation;
  int calibration_images = 100;
  std::vector<std::string> calibrators;  // one int8 model each
  std::vector<int> threads, batches;
  int runs = 100;
  std::vector<std::string> backends;  // of the three above
  std::string tensorrt;               // version of the last two; "" where there is none of them
  std::vector<std::string> meters;    // as eke meters names them; none given: the first that is there
  Limits limits;
  bool uses(const std::string& backend) const;
};

// The file of a study, JSON; relative paths count from `folder`. Throws what names the line and the key: unknown keys,
// wrong types, impossible values.
Study parse_study(const std::string& text, const std::string& folder);

// A model of a network, as it is benchmarked: the float one first.
struct Variant {
  std::string name;   // "float", a calibrator, "qat"
  std::string model;  // its file
};
std::vector<Variant> variants_of(const Study& study, const Network& network, const std::string& models);

struct Cell {
  std::string name;                    // of its result: <name>.json
  std::string network;                 // that it is about
  std::vector<std::string> arguments;  // of eke
  std::vector<std::string> reads;      // files that it depends on: a newer one makes the result stale
  bool takes_some = false;             // where some of `reads` are missing, it does its work on the others
};

// All cells in an order that can be run; models are written into and read from `models`.
std::vector<Cell> cells_of(const Study& study, const std::string& models);

}  // namespace eke::study
