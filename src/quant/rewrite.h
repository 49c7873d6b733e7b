// Turns a float graph into one with QuantizeLinear and DequantizeLinear nodes. The graph is the portable one:
// types inferred, BatchNormalization folded. Pure; knows nothing of calibration but its ranges.
//
// Where the nodes go:
// - every value that an integer operator makes or reads gets one pair Q/DQ, with one scale and zero point for
// all
//   its readers, float ones too; weights and biases become constants with a DequantizeLinear each;
// - none between a convolution or matrix product and the Relu, Clip, LeakyRelu or PRelu (constant slope) that
// alone
//   reads it, nor between an addition or product and such a Relu or Clip: they round once, after the
//   activation;
// - operators that move or select elements (MaxPool, Reshape, ...) keep the scale of their input, and the
// inputs of
//   a Concat that nothing else reads take the scale of its output, so that it copies;
// - elementwise functions at the end, whose result leaves in float anyway, stay in float.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quant/qparams.h"
#include "quant/report.h"

namespace eke {

// Of a convolution whose sum goes into a residual addition and nowhere else.
enum class ResidualRounding : std::uint8_t {
  every_tensor,  // its result is rounded to 8 bits before the addition, as other engines expect
  sum_only,      // only the sum is rounded: more exact (rule 5 of docs/integer-semantics.md)
};

// Scales that training has learned: they take the place of those that ranges and weights would give.
struct LearnedScales {
  std::map<std::string, ScaleZero> values;            // by the value whose range it is
  std::map<std::string, std::vector<float>> weights;  // by the float weights: one, or one a channel
};

struct RewriteOptions {
  ActivationScheme activations = {};
  // Rounded to 16 bits instead of 8: all activations, or what the nodes make that match (keep.h). There are no kernels for
  // them: layers that read or make them run in float between the roundings. Their range is all that calibration saw.
  bool wide = false;
  std::vector<std::string> wide_nodes = {};
  WeightOptions weights = {};
  ResidualRounding residual_rounding = ResidualRounding::every_tensor;
  bool float_outputs = true;                    // sums and averages that nothing integer reads leave in float
  bool correct_biases = true;                   // by the means of CalibratedRange, where they are given
  std::vector<std::string> keep = {};           // patterns (keep.h) of nodes to leave in float
  std::map<std::string, int> weight_bits = {};  // by label (keep.h): instead of weights.bits
  // Groups of values, by name, that get one scale: for the union of their ranges. Those that are not quantized do not count.
  std::vector<std::vector<std::string>> shared_scales = {};
  LearnedScales learned = {};
};

// The range that the first so many images gave.
struct RangeAfter {
  std::int64_t images = 0;
  Range range;
};

// What calibration learned of a tensor: what it saw, the range chosen from it, and how.
struct CalibratedRange {
  Range seen, range;
  std::string method;
  std::vector<RangeAfter> history = {};  // after 1, 2, 4, ... images (or the batch that reaches them)
  // Of the values along axis 1: means, mean squares, largest magnitudes; empty where they were not measured.
  std::vector<float> channel_means = {}, channel_squares = {}, channel_peaks = {};
  std::vector<std::uint32_t> channel_histogram =
      {};  // of ChannelHistogram, where CalibratorOptions ask for it
};
using Ranges = std::map<std::string, CalibratedRange>;  // by value name

// The values whose ranges quantize() will ask for, in the order in which they are made. Throws as quantize()
// does.
std::vector<std::string> ranges_needed(const Graph& graph, const RewriteOptions& options);

// The values whose means correct_biases can use: what convolutions and matrix products with integer weights
// read.
std::vector<std::string> means_wanted(const Graph& graph, const RewriteOptions& options);

using QuantizedWeightsByNode = std::map<std::string, QuantizedWeights>;  // by label (keep.h)

struct Quantized {
  Graph graph;
  QuantReport report;
  QuantizedWeightsByNode weights = {};  // of every layer with integer weights
};

// The names of graph inputs and outputs stay. Throws an Error when a range is missing, weights are not
// finite, a `keep` pattern matches nothing, or the graph contains QuantizeLinear or DequantizeLinear nodes
// already. Layers in `given` get those weights, scales and biases as they are.
Quantized quantize(const Graph& graph, const Ranges& ranges, const RewriteOptions& options,
                   const QuantizedWeightsByNode& given = {});

// A scale of a graph that simulates quantization: a float constant of one element, or one a channel.
struct FakeScale {
  std::string constant;  // its name
  std::string of;        // the value or the float weights that it belongs to
  bool of_weights = false;
  std::int32_t zero_point = 0;  // of values
  std::int64_t elements = 1;    // that one scale rounds: of the weights, or of the values of one image
};

struct FakeQuantized {
  Graph graph;
  std::vector<FakeScale> scales;
};

// The graph of quantize() for training: weights are float constants that a QuantizeLinear and a DequantizeLinear round,
// and keep their names, as biases do (in float; corrected, where quantize() corrects them). Where it rounds, and by which
// scales, is the same, but for weights whose output channels do not come first: they share one scale. Throws as quantize()
// does, where a Gemm scales its operands, and for activations of 16 bits.
FakeQuantized fake_quantize(const Graph& graph, const Ranges& ranges, const RewriteOptions& options);

// The scales as they now stand in `trained`, a graph of fake_quantize() whose constants training has changed.
LearnedScales learned_scales(const Graph& trained, const std::vector<FakeScale>& scales);

}  // namespace eke
