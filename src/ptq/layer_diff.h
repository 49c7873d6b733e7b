// Where two models with the same value names drift apart: the noise of each layer alone, and all that has
// come together up to it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/session.h"

namespace eke {

// Energies, summed over elements and images.
struct Noise {
  double signal = 0, noise = 0, test = 0, dot = 0;
  void add(std::span<const float> reference, std::span<const float> test);
  double db() const;      // infinite for equal values
  double cosine() const;  // 0 where one of them is all zero
};

struct LayerNoise {
  std::string value;  // in both models
  std::string op;     // that makes it in the second one
  Noise isolated;     // the second model's layer, fed with the first model's values
  Noise accumulated;  // the whole second model
};

// `reference` and `test` have all shapes bound. Compared are the values of one name that the test model
// rounds, and the outputs; all values of one name where it rounds none.
class LayerDiff {
 public:
  LayerDiff(const Graph& reference, const Graph& test, const Threads& threads);

  std::int64_t batch() const noexcept;
  std::int64_t row_size() const noexcept;
  void add(std::span<const float> rows);  // as Session::run_rows
  const std::vector<LayerNoise>& layers() const noexcept { return layers_; }

 private:
  void check_values(const std::vector<float>& values, std::size_t index, const char* model) const;

  std::vector<LayerNoise> layers_;
  std::unique_ptr<Session> reference_, test_;
  std::vector<std::unique_ptr<Session>> parts_;        // a layer of the test model as a model of its own
  std::vector<std::vector<std::size_t>> part_inputs_;  // indexes into seen_
  std::vector<std::vector<float>> seen_;               // what the reference made: the layers, then its input
};

}  // namespace eke
