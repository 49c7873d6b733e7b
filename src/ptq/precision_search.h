// Mixed precision by need: how much noise each layer makes in each precision, what it costs there, and which mixtures
// are worth having. Each piece that was measured can be remembered, so that an interrupted search goes on from there with
// the same answer.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ptq/calibrated_graph.h"
#include "ptq/judge.h"
#include "quant/assign_precision.h"
#include "tune/tune.h"

namespace eke {

enum class SearchObjective : std::uint8_t { latency, energy, size };
std::string_view to_string(SearchObjective objective) noexcept;
std::string_view unit_of(SearchObjective objective) noexcept;  // "ms", "mJ", "bytes"

// In the order of a layer's choices.
enum class Precision : std::uint8_t { f32, int8, int4 };
std::string_view to_string(Precision precision) noexcept;

struct SearchedLayer {
  std::string node, op;
  std::vector<CostAndNoise> choices;  // one a precision; no int4 where it would win nothing
};

// A mixture that was built and measured.
struct TriedMixture {
  std::string what;     // "searched", or the rule that it follows: "all in int8", ...
  Assignment assigned;  // Precision, as a position
  double cost = 0;      // of the whole model
  double sqnr_db = 0;
  std::vector<bool> right = {};
  PairedComparison drop = {};
  bool on_front = false;

  double lost() const { return -drop.difference; }
};

struct SearchResult {
  std::vector<SearchedLayer> layers;
  std::vector<TriedMixture> tried;
  std::size_t chosen = 0;
  bool within = false;  // the chosen one's drop
  bool by_labels = false;
  std::int64_t float_right = 0;
};

// Gives what was measured at this path before, else what `measure` gives, for the next time. Where it is empty all is
// measured.
using Remember = std::function<nlohmann::ordered_json(
    const std::vector<std::string>& path, const std::function<nlohmann::ordered_json()>& measure)>;

struct SearchOptions {
  SearchObjective objective = SearchObjective::latency;
  double max_drop = 0;          // a share
  std::size_t mixtures = 12;    // to try, besides those of simple rules
  int rounds = 20;              // of timing
  Floats floats = Floats::f32;  // what layers in float compute in, when mixtures are measured
  Objective joules = nullptr;   // of an inference, for SearchObjective::energy
  // The bytes of a model, as it would be saved.
  std::function<std::int64_t(const Graph&)> saved_bytes = {};
  Remember remember = {};
  OnProgress progress = {};
};

// The pieces that mixtures are made of: one calibrated graph, and its layers' weights in each integer precision.
class Mixtures {
 public:
  // `four` is empty where 4 bits are no choice.
  Mixtures(const CalibratedGraph& calibrated, RewriteOptions options, const Quantized& eight,
           const QuantizedWeightsByNode& four);

  const std::vector<QuantizedLayer>& layers() const noexcept { return layers_; }
  bool has_four_bits() const noexcept { return !four_.empty(); }
  const Graph& float_graph() const noexcept { return calibrated_.graph; }
  Graph made(const Assignment& assigned) const;  // as it is saved
  double weight_bytes(std::size_t layer, Precision precision) const;

 private:
  const CalibratedGraph& calibrated_;
  RewriteOptions options_;
  std::vector<QuantizedLayer> layers_;
  const QuantizedWeightsByNode &eight_, &four_;
};

// `few` are images for the noise of each layer, `judge` judges whole mixtures. Throws nlohmann::json::exception where what
// was remembered is not what a search measures.
SearchResult search_precisions(const Mixtures& mixtures, Judge& few, Judge& judge,
                               const SearchOptions& options, const Threads& threads);

// A letter a layer: f for float, 8, 4.
std::string code_of(const Assignment& assigned);

}  // namespace eke
