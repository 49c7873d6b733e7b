// The architectures that the project can make from nothing: well-known networks with weights drawn from a seed.
// They are where training starts, and what speed is measured on. Weights follow He et al. 2015 ("Delving deep
// into rectifiers"); BatchNormalization is left unfolded, with running statistics that keep activations of
// order one. Pure; knows nothing of files.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "graph/graph.h"

namespace eke {

struct NetworkOptions {
  std::int64_t classes = 0;  // outputs; 0: the architecture's own
  std::int64_t input = 0;    // height and width of the input; 0: the architecture's own
  double width = 1;          // times the channels of every layer, rounded to multiples of 8
  std::uint64_t seed = 0;
};

class NetworkBuilder;

struct Architecture {
  std::string_view name;
  std::int64_t classes, input;                         // defaults
  std::string_view normalization;                      // of pixels, by its name in data/preprocess.h
  std::string_view summary;                            // one line, with the paper
  ValueId (*build)(NetworkBuilder& b, ValueId image);  // from [N,3,input,input] to [N,classes]
};

std::span<const Architecture> architectures() noexcept;
const Architecture& find_architecture(std::string_view name);  // throws UsageError with the list of names

// One input "image" [batch,3,input,input] with a dynamic batch, one output "scores" [batch,classes]. Equal
// options give equal bytes on every machine. Throws UsageError for options out of range, and an Error that
// names the layer where the input is too small for the architecture.
Graph make_network(const Architecture& architecture, const NetworkOptions& options);

}  // namespace eke
