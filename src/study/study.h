// The experiment: networks x ways to quantize x threads x batch sizes, as cells. A cell is one run of a command, whose
// result is a file: plain data here, nothing is run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace eke::study {

struct Network {
  std::string name;                // of files and of tables: letters, digits, '-', '_', '.'
  std::string model;               // ONNX
  std::vector<std::string> flags;  // how images become its input, as eke eval takes them
  int class_offset = 0;
};

struct Study {
  std::string name;
  std::vector<Network> networks;
  std::string calibration,
      evaluation;  // data sets; the second may be empty: then what calibration leaves over
  int calibration_images = 100;
  std::vector<std::string> calibrators;  // one int8 model each
  std::vector<int> threads, batches;
  int runs = 100;
};

// The file of a study, JSON; relative paths count from `folder`. Throws what names the line and the key: unknown keys,
// wrong types, impossible values.
Study parse_study(const std::string& text, const std::string& folder);

struct Cell {
  std::string name;                    // of its result: <name>.json
  std::vector<std::string> arguments;  // of eke
  std::vector<std::string> reads;      // files that it depends on: a newer one makes the result stale
};

// All cells in an order that can be run; models are written into and read from `models`.
std::vector<Cell> cells_of(const Study& study, const std::string& models);

}  // namespace eke::study
