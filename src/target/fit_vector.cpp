// Matrix products as convolutions. A vector [N,K] that comes from a map [N,C,H,W] by a Flatten or Reshape is
// followed as that map: a product with constant weights becomes a convolution with kernel HxW, what is
// elementwise behind it works on maps of 1x1, and no reshape is left between.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ops/broadcast.h"
#include "target/fit_rules.h"

namespace eke {
namespace {

class Vectors {
 public:
  explicit Vectors(FitRun& run) : run_(run), r_(run.r) {}

  void visit() {
    if (r_.node().out.size() != 1 || r_.in(0) == kNoValue) return;
    if (is_reshape()) return reshape();
    if (const auto* gemm = r_.current<op::Gemm>()) return product(op::Gemm(*gemm));
    if (is_elementwise() && every_input_fits()) return on_maps(r_.node().op);
    if (const auto* softmax = r_.current<op::Softmax>(); softmax && is_over_channels(softmax->axis)) {
      op::Softmax over_channels = *softmax;
      over_channels.axis = 1;
      over_channels.coerce2d = false;
      return on_maps(over_channels);
    }
    if (const auto* norm = r_.current<op::LpNormalization>(); norm && is_over_channels(norm->axis)) {
      op::LpNormalization over_channels = *norm;
      over_channels.axis = 1;
      return on_maps(over_channels);
    }
    if (const auto* concat = r_.current<op::Concat>();
        concat && every_input_fits() && normalize_axis(concat->axis, r_.type(r_.out()).shape.rank()) == 1) {
      on_maps(op::Concat{1});
    }
  }

 private:
  // The map that a vector is, or kNoValue.
  ValueId map_of(ValueId id) const {
    const auto found = maps_.find(id);
    return found == maps_.end() ? kNoValue : found->second;
  }
  bool is_pixel(ValueId map) const {
    const Shape& shape = r_.type(map).shape;
    return shape[2] == 1 && shape[3] == 1;
  }

  bool is_reshape() const {
    return r_.current<op::Flatten>() || r_.current<op::Reshape>() || r_.current<op::Squeeze>() ||
           r_.current<op::Unsqueeze>();
  }

  void reshape() {
    const ValueId x = r_.in(0), map = map_of(x);
    const Shape &from = r_.type(x).shape, &to = r_.type(r_.out()).shape;
    if (map != kNoValue && to == r_.type(map).shape) {
      run_.changed("nothing", "the vector before it is a map already");
      r_.bypass(map);
    } else if (from.rank() == 4 && to.rank() == 2 && from[0] == to[0]) {
      maps_[r_.out()] = x;
    } else if (map != kNoValue && to.rank() == 2 && to[0] == from[0]) {
      maps_[r_.out()] = map;
    }
  }

  void product(const op::Gemm& a) {
    const ValueId map = map_of(r_.in(0));
    const Tensor *w = r_.constant(r_.in(1)), *b = r_.in(2) == kNoValue ? nullptr : r_.constant(r_.in(2));
    if (map == kNoValue || a.transA != 0 || a.clamp.active() || !w || w->dtype() != DType::f32 ||
        (r_.in(2) != kNoValue && !b)) {
      return;
    }
    const Shape x = r_.type(map).shape;
    const std::int64_t in = x[1] * x[2] * x[3], out = w->shape()[a.transB != 0 ? 0 : 1];
    if (x[2] > 32 || x[3] > 32) return;
    const auto biases = b ? per_channel(b, r_.type(r_.out()).shape, 1) : std::nullopt;
    if (b && !biases) return;
    Tensor weights(DType::f32, {out, x[1], x[2], x[3]});
    const auto from = w->values<float>();
    auto to = weights.mutable_values<float>();
    for (std::int64_t m = 0; m < out; ++m) {
      for (std::int64_t k = 0; k < in; ++k)
        to[static_cast<std::size_t>(m * in + k)] =
            a.alpha * from[static_cast<std::size_t>(a.transB != 0 ? m * in + k : k * out + m)];
    }
    op::Conv conv;
    conv.kernel_shape = {x[2], x[3]};
    conv.strides = {1, 1};
    conv.pads = {0, 0, 0, 0};
    conv.dilations = {1, 1};
    std::vector<ValueId> inputs = {map, r_.add_constant(run_.name() + "_weights", std::move(weights))};
    if (biases) {
      Tensor bias(DType::f32, {out});
      for (std::size_t m = 0; m < biases->size(); ++m)
        bias.mutable_values<float>()[m] = static_cast<float>(a.beta * (*biases)[m]);
      inputs.push_back(r_.add_constant(run_.name() + "_bias", std::move(bias)));
    }
    run_.changed(fmt::format("a convolution {}x{}", x[2], x[3]), "a Flatten before it would leave the DLA");
    become(std::move(conv), std::move(inputs));
  }

  bool is_elementwise() const {
    return holds_any<op::Unary, op::Binary, op::Variadic, op::LeakyRelu, op::Elu, op::Celu, op::Selu,
                     op::HardSigmoid, op::ThresholdedRelu, op::Gelu, op::Swish, op::Clip,
                     op::BatchNormalization, op::Dropout>(r_.node().op);
  }

  // Every input is a vector that is a map, all of one shape, or a constant that can be one: one value, or with
  // maps of 1x1 one a channel.
  bool every_input_fits() const {
    ValueId first = kNoValue;
    const std::int64_t channels = r_.type(r_.out()).shape.rank() == 2 ? r_.type(r_.out()).shape[1] : 0;
    bool per_channel = std::holds_alternative<op::Concat>(r_.node().op);
    for (const ValueId id : r_.node().in) {
      if (id == kNoValue) continue;
      if (const Tensor* constant = r_.constant(id)) {
        if (constant->count() != 1 && constant->count() != channels) return false;
        per_channel = per_channel || constant->count() > 1;
        continue;
      }
      const ValueId map = map_of(id);
      if (map == kNoValue) return false;
      if (first == kNoValue) first = map;
      per_channel = per_channel || r_.type(map).shape != r_.type(first).shape;
    }
    if (first == kNoValue || !per_channel) return first != kNoValue;
    return std::ranges::all_of(
        r_.node().in, [&](ValueId id) { return id == kNoValue || r_.constant(id) || is_pixel(map_of(id)); });
  }

  bool is_over_channels(std::int64_t axis) const {
    const ValueId map = map_of(r_.in(0));
    return map != kNoValue && is_pixel(map) && normalize_axis(axis, 2) == 1;
  }

  // The same operator on the maps.
  void on_maps(Op op) {
    const bool parameters = std::holds_alternative<op::BatchNormalization>(op);  // those stay vectors
    std::vector<ValueId> inputs;
    for (const ValueId id : std::vector<ValueId>(r_.node().in)) {
      const Tensor* constant = id == kNoValue ? nullptr : r_.constant(id);
      if (constant && constant->count() > 1 && !parameters) {
        inputs.push_back(
            r_.add_constant(run_.name() + "_map", constant->reshaped({constant->count(), 1, 1})));
      } else {
        inputs.push_back(id == kNoValue || constant ? id : map_of(id));
      }
    }
    become(std::move(op), std::move(inputs));
  }

  // The node works on maps; who wants a vector gets it from a Flatten in its place, which goes where nobody does.
  void become(Op op, std::vector<ValueId> inputs) {
    const std::string name = run_.name();
    const ValueId map = r_.insert(std::move(op), std::move(inputs), name);
    r_.replace(op::Flatten{}, {map}, name + "_flatten");
    maps_[r_.out()] = map;
  }

  FitRun& run_;
  Rewriter& r_;
  std::map<ValueId, ValueId> maps_;
};

}  // namespace

void fit_vectors(FitRun& run) {
  Vectors vectors(run);
  run.r.for_each_node([&] { vectors.visit(); });
}

}  // namespace eke
