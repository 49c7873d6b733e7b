// Makes an int8 model from a float one and a folder of images, without training. Each step beyond plain calibration is
// judged on a quarter of the images, which calibration does not see, and stays only where they gain by it. Needs no header
// but this one.
//
//   eke::QuantizeReport report = eke::quantize("mine.onnx", {.data = "photos/", .output = "mine.int8.onnx"});
//
// The file is that which the command `eke quantize` writes for the same options and images. Every failure is a
// std::exception whose message names the place, the rule and the remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace eke {

struct QuantizeState {
  std::string what;               // "calibrating", "learning to round", ...
  std::int64_t done = 0, of = 0;  // images, layers or blocks
};

struct QuantizeOptions {
  std::string data;          // images: a folder, a folder per class, a CSV of file,class, or IDX files
  std::string output;        // the int8 model, in Q/DQ form
  std::size_t images = 100;  // at most, evenly spread over the data; 0: all
  int threads = 1;
  // How an image becomes the input, where the model does not say: "raw", "unit", "tf", "imagenet" or "caffe", and the
  // size where the model takes any.
  std::string normalization;
  int width = 0, height = 0;

  // "fast": calibrate. "balanced": and try to equalize channels, to correct biases, to clip weights. "best": and learn from
  // the images how each weight is rounded, and reconstruct blocks and leave layers in float where max_drop_points needs it.
  std::string effort = "balanced";
  // Points of accuracy that may be lost: no further step is tried once the images held back show no more. Where they show
  // more at the end, QuantizeReport::written is another name than `output`.
  std::optional<double> max_drop_points;
  bool per_channel = true;        // false: one scale for all weights of a layer
  int weight_bits = 8;            // 2 to 8; 4 bits and fewer are stored two a byte
  std::string engine = "cpu";     // or "tensorrt", "dla-orin": by the arithmetic of what 'eke export' writes
  std::vector<std::string> keep;  // nodes to leave in float; * and ? are wildcards
  int class_offset = 0;           // the output of class 0: 1 where output 0 is a background class
  std::function<bool(const QuantizeState&)> progress;  // now and then; false stops, and nothing is written
};

// A share of all images, in points (hundredths).
struct QuantizeDrop {
  double points = 0;         // of accuracy that int8 loses against float; negative: it gains
  double low = 0, high = 0;  // 95 % interval: bootstrap over the images
};

// Judged on the images held back.
struct QuantizeStep {
  std::string name;
  bool kept = false;
  double sqnr_db = 0;  // signal to noise of the output against float: the median image
  // How many dB nearer to float than what was kept before, the mean over the images, and its 95 % interval; none for the
  // first step.
  std::optional<double> gain_db, gain_low_db, gain_high_db;
  std::size_t right = 0;  // of QuantizeReport::judging_images
  QuantizeDrop drop;
  double seconds = 0;
};

struct QuantizeReport {
  std::string written;   // the file; `output`, or with "above-max-drop" in its name
  bool finished = true;  // false: stopped by `progress`
  bool within_max_drop = true;
  std::size_t calibration_images = 0;
  // Those held back. 0 with effort "fast" and no bound, or with fewer than 8 images: then nothing was judged, and what is
  // said of accuracy below is empty.
  std::size_t judging_images = 0;
  // Images that are right have their label as the largest output. Without labels they have the same largest output as the
  // float model, and no more accuracy is lost than the drop says.
  bool by_labels = false;
  std::size_t float_right = 0;      // of judging_images
  std::vector<QuantizeStep> steps;  // as tried
  std::string ended;                // why no further step was tried
  // Of the written model.
  QuantizeDrop drop;
  double sqnr_db = 0;
  std::size_t int8_layers = 0;
  std::vector<std::string> float_nodes;  // those that compute in float, and why: "'head': ..."
  std::size_t bytes = 0;                 // of the file
};

QuantizeReport quantize(const std::string& model, const QuantizeOptions& options);

}  // namespace eke
