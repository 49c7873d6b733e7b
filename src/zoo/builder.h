// Builds a network layer by layer: draws weights, keeps the types of values known, and follows the mean square
// of each value under random weights, from which come the running variances of BatchNormalization.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"
#include "zoo/zoo.h"

namespace eke {

enum class Activation : std::uint8_t { none, relu, relu6, hard_swish, prelu };

// A square or flat kernel with the padding that keeps the extent at stride 1, unless `pad` says otherwise.
struct Window {
  std::int64_t height = 1, width = 1, stride = 1;
  std::int64_t pad = -1;  // on all sides; -1: (extent - 1) / 2
};
constexpr Window square(std::int64_t extent, std::int64_t stride = 1, std::int64_t pad = -1) {
  return {extent, extent, stride, pad};
}

class NetworkBuilder {
 public:
  explicit NetworkBuilder(const NetworkOptions& options) : options_(options), random_(options.seed) {}

  const NetworkOptions& options() const noexcept { return options_; }
  // `channels` times the width of the options: to the nearest multiple of 8, never below 90 % of the product
  // (Sandler et al. 2018). At width 1 as it is.
  std::int64_t scaled(std::int64_t channels) const;
  std::int64_t channels(ValueId x) const { return graph_[x].type.shape[1]; }
  std::int64_t height(ValueId x) const { return graph_[x].type.shape[2]; }

  ValueId image();
  // The graph with `scores` as its output and a dynamic batch.
  Graph finish(ValueId scores, std::string_view name) &&;

  // --- one operator each; nodes are named after `name` ---
  ValueId conv(const std::string& name, ValueId x, std::int64_t out, const Window& window, bool bias,
               std::int64_t groups = 1);
  ValueId batchnorm(const std::string& name, ValueId x);
  ValueId activate(const std::string& name, ValueId x, Activation activation);
  ValueId max_pool(const std::string& name, ValueId x, const Window& window, bool ceil = false);
  ValueId average_pool(const std::string& name, ValueId x, const Window& window);
  ValueId add(const std::string& name, ValueId a, ValueId b);
  ValueId concat(const std::string& name, const std::vector<ValueId>& parts);
  ValueId flatten(const std::string& name, ValueId x);
  // A matrix product with bias; one with an activation behind it is drawn as a hidden layer.
  ValueId dense(const std::string& name, ValueId x, std::int64_t out,
                Activation activation = Activation::none);

  // --- what networks are made of ---
  // Convolution without bias, BatchNormalization, activation.
  ValueId conv_bn(const std::string& name, ValueId x, std::int64_t out, const Window& window,
                  Activation activation, std::int64_t groups = 1);
  ValueId depthwise_bn(const std::string& name, ValueId x, const Window& window, Activation activation) {
    return conv_bn(name, x, channels(x), window, activation, channels(x));
  }
  // Convolution with bias, activation.
  ValueId conv_act(const std::string& name, ValueId x, std::int64_t out, const Window& window,
                   Activation activation);
  // Squeeze-and-excite (Hu et al. 2018): x times a gate a channel, made from its means by way of `squeezed`
  // channels.
  enum class Gate : std::uint8_t { sigmoid, hard_sigmoid };
  ValueId squeeze_excite(const std::string& name, ValueId x, std::int64_t squeezed, Gate gate);
  ValueId global_average(const std::string& name, ValueId x);
  // Global average, then one score a class.
  ValueId classifier(ValueId x);

 private:
  ValueId node(Op op, std::vector<ValueId> in, const std::string& name, double moment);
  double moment(ValueId x) const { return moments_[static_cast<std::size_t>(x)]; }
  ValueId drawn(const std::string& name, const Shape& shape, double mean, double deviation);
  ValueId jittered(const std::string& name, std::int64_t count, double lo, double hi);

  NetworkOptions options_;
  Random random_;
  Graph graph_;
  std::vector<double> moments_;  // mean square of each value
};

// The multiple of 8 nearest to `channels`, not below 90 % of it and at least 8.
std::int64_t divisible(double channels);

}  // namespace eke
