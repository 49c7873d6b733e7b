#include "target/dla_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "ops/broadcast.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

using Quantities = std::vector<Quantity>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double yes(bool holds) { return holds ? 1 : 0; }

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool is_quantization(const Op& op) {
  return std::holds_alternative<op::QuantizeLinear>(op) || std::holds_alternative<op::DequantizeLinear>(op);
}

std::int64_t at(const op::Ints& values, std::size_t i, std::int64_t otherwise) {
  return i < values.size() ? values[i] : otherwise;
}

void add_each(Quantities& out, std::string_view name, const op::Ints& values) {
  for (const std::int64_t value : values) out.push_back({name, static_cast<double>(value)});
}

// --- tensors -----------------------------------------------------------------------------------------------

// The batch is the product of all axes before the last three; of a matrix [N,K] it is N.
void measure_tensor(Quantities& out, const Shape& shape) {
  const int first = shape.rank() >= 3 ? shape.rank() - 3 : std::min(shape.rank(), 1);
  out.push_back({"batch", static_cast<double>(shape.count(0, first))});
  for (int axis = first; axis < shape.rank(); ++axis)
    out.push_back({"extent", static_cast<double>(shape[axis])});
}

// --- layers ------------------------------------------------------------------------------------------------

void measure_padding(Quantities& out, const op::Ints& pads, const Shape& kernel, bool of_convolution) {
  for (std::size_t i = 0; i < pads.size(); ++i) {
    const auto pad = static_cast<double>(pads[i]);
    out.push_back({"padding", pad});
    const int axis = static_cast<int>(i % static_cast<std::size_t>(std::max(kernel.rank(), 1)));
    if (of_convolution) out.push_back({"padding less kernel", pad - static_cast<double>(kernel[axis])});
  }
}

Shape spatial(const Shape& shape) { return Shape(shape.dims().subspan(std::min(shape.rank(), 2))); }

void measure_conv(Quantities& out, const op::Conv& a, const Shape& x, const Shape& w,
                  DlaPrecision precision) {
  const Shape kernel = spatial(w);
  out.push_back({"spatial axes", static_cast<double>(kernel.rank())});
  for (const std::int64_t extent : kernel) out.push_back({"kernel", static_cast<double>(extent)});
  measure_padding(out, a.pads, kernel, true);
  add_each(out, "stride", a.strides);
  add_each(out, "dilation", a.dilations);
  out.push_back({"output maps", static_cast<double>(w[0])});
  out.push_back({"groups", static_cast<double>(a.group)});
  if (kernel.rank() != 2) return;
  const CbufBanks banks = cbuf_banks({w[1], kernel[0], kernel[1], at(a.dilations, 0, 1), x[3]}, precision);
  out.push_back({"CBUF banks", static_cast<double>(banks.weights + banks.data)});
}

void measure_product(Quantities& out, const Shape& x, const Shape& y, DlaPrecision precision) {
  if (x.rank() == 0 || y.rank() == 0) return;
  const CbufBanks banks = cbuf_banks({x[x.rank() - 1], 1, 1, 1, 1}, precision);
  out.push_back({"output maps", static_cast<double>(y[y.rank() - 1])});
  out.push_back({"CBUF banks", static_cast<double>(banks.weights + banks.data)});
}

// Long flat kernels of these extents are possible besides those of 1 to 32.
bool is_long_kernel(const Shape& kernel) {
  if (kernel.rank() != 2 || std::min(kernel[0], kernel[1]) != 1) return false;
  const std::int64_t extent = std::max(kernel[0], kernel[1]);
  return extent == 64 || extent == 96 || extent == 128;
}

void measure_deconv(Quantities& out, const op::ConvTranspose& a, const Shape& x, const Shape& w,
                    const Shape& y) {
  const Shape kernel = spatial(w);
  out.push_back({"spatial axes", static_cast<double>(kernel.rank())});
  if (!is_long_kernel(kernel)) {
    for (const std::int64_t extent : kernel) out.push_back({"kernel", static_cast<double>(extent)});
    add_each(out, "stride", a.strides);
  }
  if (kernel.rank() == 2 && kernel[0] == kernel[1]) add_each(out, "stride of a square kernel", a.strides);
  add_each(out, "padding", a.pads);
  add_each(out, "padding", a.output_padding);
  add_each(out, "dilation", a.dilations);
  out.push_back({"groups", static_cast<double>(a.group)});
  out.push_back({"input channels", static_cast<double>(x[1])});
  out.push_back({"output maps", static_cast<double>(y[1])});
}

template <class A>
void measure_pool(Quantities& out, const A& a) {
  out.push_back({"spatial axes", static_cast<double>(a.kernel_shape.size())});
  add_each(out, "window", a.kernel_shape);
  add_each(out, "padding", a.pads);
  add_each(out, "stride", a.strides);
  add_each(out, "dilation", a.dilations);
}

double bound(const Graph& graph, const Node& node, std::size_t i, double otherwise) {
  if (i >= node.in.size() || node.in[i] == kNoValue) return otherwise;
  const Tensor* value = graph.constant(node.in[i]);
  return value && value->count() == 1 ? element_as_double(value->view(), 0) : std::nan("");
}

// NCHW with the same shape, NC11 or N111.
bool broadcasts_on_dla(const Shape& small, const Shape& out) {
  if (small == out) return true;
  if (small.rank() != out.rank() || small.rank() < 3) return false;
  const int channel = out.rank() - 3;
  for (int axis = 0; axis < channel; ++axis)
    if (small[axis] != out[axis]) return false;
  return small[channel + 1] == 1 && small[channel + 2] == 1 &&
         (small[channel] == out[channel] || small[channel] == 1);
}

// One value for the tensor, one a channel, or one an element (the same for each image).
bool is_scale_constant(const Shape& constant, const Shape& out) {
  if (constant.count() == 1) return true;
  const int channel = out.rank() >= 3 ? out.rank() - 3 : std::min(1, out.rank() - 1);
  const std::int64_t elements = out.count(std::max(channel, 0), out.rank());
  if (constant.count() == elements) return true;
  const int axis = constant.rank() - (out.rank() - channel);  // of the constant, that is the channel
  return axis >= 0 && constant[axis] == out[channel] && constant.count() == constant[axis];
}

void measure_resize(Quantities& out, const op::Resize& a, const Shape& x, const Shape& y) {
  out.push_back({"rank", static_cast<double>(x.rank())});
  if (x.rank() != 4) return;
  const bool nearest = a.mode == "nearest", linear = a.mode == "linear";
  for (int axis = 0; axis < 4; ++axis) {
    const double scale =
        static_cast<double>(y[axis]) / static_cast<double>(std::max<std::int64_t>(x[axis], 1));
    if (axis < 2) {
      out.push_back({"scale of batch or channels", scale});
      continue;
    }
    out.push_back({"fraction of a scale", scale - std::floor(scale)});
    out.push_back({nearest ? "scale, nearest" : "scale, bilinear", scale});
  }
  const std::string &coordinates = a.coordinate_transformation_mode, &rounding = a.nearest_mode;
  const bool as_documented = (nearest && coordinates == "asymmetric" && rounding == "floor") ||
                             (nearest && coordinates == "half_pixel" &&
                              (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil")) ||
                             (linear && coordinates == "half_pixel");
  out.push_back({"mode other than the documented ones", yes(!as_documented)});
}

void measure_softmax(Quantities& out, std::int64_t attribute, const Shape& x) {
  const int axis = normalize_axis(attribute, x.rank());
  const int first = x.rank() >= 3 ? x.rank() - 3 : std::min(x.rank() - 1, 1);
  out.push_back({"axis over batch", yes(axis < first)});
  const bool alone = x.count(first, x.rank()) == x[axis];
  out.push_back({alone ? "extent of the only axis" : "extent of the axis", static_cast<double>(x[axis])});
}

}  // namespace

std::string to_string(const BrokenLimit& b) {
  if (b.lo == 0 && b.hi == 0) return std::string(b.quantity);
  if (b.lo == b.hi) return fmt::format("{} is {}; {} is needed", b.quantity, b.value, b.lo);
  if (b.hi == kInfinity) return fmt::format("{} is {}; at least {} is needed", b.quantity, b.value, b.lo);
  if (b.lo == -kInfinity) return fmt::format("{} is {}; at most {} is possible", b.quantity, b.value, b.hi);
  return fmt::format("{} is {}; {} to {} is possible", b.quantity, b.value, b.lo, b.hi);
}

CbufBanks cbuf_banks(const CbufLayer& layer, DlaPrecision precision) {
  constexpr std::int64_t kAtom = 128, kBankBytes = 32768, kSliceBytes = 32, kSlicesPerEntry = 4,
                         kEntriesPerBank = 256;
  const std::int64_t element = precision == DlaPrecision::int8 ? 1 : 2;
  const std::int64_t kernel_bytes = layer.channels * layer.kernel_height * layer.kernel_width * element;
  const std::int64_t entries =
      divide_up(divide_up(layer.channels * element, kSliceBytes) * layer.width, kSlicesPerEntry);
  const std::int64_t rows = (layer.kernel_height - 1) * layer.dilation_height + 1;
  return {divide_up(divide_up(kernel_bytes, kAtom) * kAtom, kBankBytes),
          divide_up(entries * rows, kEntriesPerBank)};
}

DlaJudge::DlaJudge(const Graph& graph, const DlaTarget& target)
    : graph_(graph), target_(target), producers_(producers(graph)), consumers_(consumers(graph)) {
  constant_.resize(graph.values.size(), false);
  for (std::size_t i = 0; i < graph.values.size(); ++i) constant_[i] = graph.values[i].constant != nullptr;
  for (const Node& node : graph.nodes) {
    const bool known = std::all_of(node.in.begin(), node.in.end(),
                                   [&](ValueId id) { return id == kNoValue || is_constant(id); });
    for (const ValueId id : node.out)
      if (id != kNoValue && known && !node.in.empty()) constant_[static_cast<std::size_t>(id)] = true;
  }
}

DlaLayer DlaJudge::layer_of(const Node& node, DlaLayer listed) const {
  if (listed != DlaLayer::elementwise || node.in.size() != 2) return listed;
  const auto* binary = std::get_if<op::Binary>(&node.op);
  const bool linear = binary && (binary->fn == op::BinaryFn::Add || binary->fn == op::BinaryFn::Mul);
  return linear && (is_constant(node.in[0]) || is_constant(node.in[1])) ? DlaLayer::scale : listed;
}

bool DlaJudge::parameters_are_constant(const Node& node) const {
  return std::all_of(node.in.begin() + std::min<std::ptrdiff_t>(1, std::ssize(node.in)), node.in.end(),
                     [&](ValueId id) { return id == kNoValue || is_constant(id); });
}

void DlaJudge::measure_product_layer(Quantities& q, const Node& node) const {
  q.push_back({"constant weights", yes(parameters_are_constant(node))});
  if (const auto* conv = std::get_if<op::Conv>(&node.op))
    measure_conv(q, *conv, shape(node.in[0]), shape(node.in[1]), target_.precision);
  else
    measure_product(q, shape(node.in[0]), shape(node.out[0]), target_.precision);
}

void DlaJudge::measure_elementwise(Quantities& q, const Node& node) const {
  for (const ValueId id : node.in) {
    q.push_back({"constant operand", yes(is_constant(id))});
    q.push_back(
        {"broadcast other than NC11 and N111", yes(!broadcasts_on_dla(shape(id), shape(node.out[0])))});
  }
}

void DlaJudge::measure_scale(Quantities& q, const Node& node) const {
  const bool norm = std::holds_alternative<op::BatchNormalization>(node.op);
  q.push_back({"constant parameters", yes(!norm || parameters_are_constant(node))});
  for (const ValueId id : node.in) {
    if (!norm && is_constant(id))
      q.push_back({"constant other than one a tensor, channel or element",
                   yes(!is_scale_constant(shape(id), shape(node.out[0])))});
  }
}

void DlaJudge::measure_slice(Quantities& q, const Node& node) const {
  const Shape& x = shape(node.in[0]);
  q.push_back({"rank", static_cast<double>(x.rank())});
  q.push_back({"constant parameters", yes(parameters_are_constant(node))});
  for (const ValueId id : node.out)
    if (id != kNoValue && x.rank() > 0) q.push_back({"cuts the batch", yes(shape(id)[0] != x[0])});
  const Tensor* steps = node.in.size() > 4 ? graph_.constant(node.in[4]) : nullptr;
  if (steps) add_each(q, "step", as_ints(*steps));
}

void DlaJudge::measure_shuffle(Quantities& q, const Node& node) const {
  const Shape &x = shape(node.in[0]), &y = shape(node.out[0]);
  q.push_back({"constant parameters", yes(parameters_are_constant(node))});
  q.push_back({"moves the batch", yes(x.rank() == 0 || y.rank() == 0 || x[0] != y[0])});
  if (!std::holds_alternative<op::Reshape>(node.op)) return;
  const auto cuts_or_joins = [&](int index) {
    return index >= 0 &&
           holds_any<op::Slice, op::Split, op::Concat>(graph_.nodes[static_cast<std::size_t>(index)].op);
  };
  const std::vector<int>& readers = consumers_[static_cast<std::size_t>(node.out[0])];
  q.push_back({"reshape next to a Slice or Concat",
               yes(cuts_or_joins(producers_[static_cast<std::size_t>(node.in[0])]) ||
                   std::any_of(readers.begin(), readers.end(), cuts_or_joins))});
}

void DlaJudge::measure_layer(Quantities& q, const Node& node, DlaLayer layer) const {
  const Shape &x = shape(node.in[0]), &y = shape(node.out[0]);
  switch (layer) {
    case DlaLayer::convolution:
      return measure_product_layer(q, node);
    case DlaLayer::deconvolution:
      q.push_back({"constant weights", yes(parameters_are_constant(node))});
      return measure_deconv(q, std::get<op::ConvTranspose>(node.op), x, shape(node.in[1]), y);
    case DlaLayer::pooling:
      if (const auto* max = std::get_if<op::MaxPool>(&node.op)) measure_pool(q, *max);
      if (const auto* average = std::get_if<op::AveragePool>(&node.op)) measure_pool(q, *average);
      return;
    case DlaLayer::activation:
      if (!std::holds_alternative<op::Clip>(node.op)) return;
      q.push_back({"lower bound of Clip", bound(graph_, node, 1, -kInfinity)});
      q.push_back({"upper bound of Clip", bound(graph_, node, 2, kInfinity)});
      return;
    case DlaLayer::prelu:
      return q.push_back({"constant slope", yes(parameters_are_constant(node))});
    case DlaLayer::elementwise:
      return measure_elementwise(q, node);
    case DlaLayer::scale:
      return measure_scale(q, node);
    case DlaLayer::lrn:
      q.push_back({"size", static_cast<double>(std::get<op::LRN>(node.op).size)});
      return q.push_back({"even size", yes(std::get<op::LRN>(node.op).size % 2 == 0)});
    case DlaLayer::concatenation:
      q.push_back(
          {"axis from the end",
           static_cast<double>(y.rank() - normalize_axis(std::get<op::Concat>(node.op).axis, y.rank()))});
      return q.push_back({"inputs", static_cast<double>(node.in.size())});
    case DlaLayer::resize:
      return measure_resize(q, std::get<op::Resize>(node.op), x, y);
    case DlaLayer::softmax:
      return measure_softmax(q, std::get<op::Softmax>(node.op).axis, x);
    case DlaLayer::slice:
      return measure_slice(q, node);
    case DlaLayer::shuffle:
      return measure_shuffle(q, node);
    case DlaLayer::any:
    case DlaLayer::unary:
    case DlaLayer::reduce:
      return;
  }
}

Quantities DlaJudge::measure(const Node& node, DlaLayer layer) const {
  Quantities q;
  for (const ValueId id : node.in)
    if (id != kNoValue && !is_constant(id)) measure_tensor(q, shape(id));
  for (const ValueId id : node.out)
    if (id != kNoValue) measure_tensor(q, shape(id));
  measure_layer(q, node, layer);
  return q;
}

DlaVerdict DlaJudge::judge(const Node& node) const {
  DlaVerdict verdict;
  verdict.source = "not in the table of ONNX operators";
  const std::string_view name = op_name(node.op);
  for (const DlaOperator& row : dla_operators()) {
    if (row.onnx != name) continue;
    verdict.source = row.source;
    verdict.remedy = row.remedy;
    if (row.versions.contains(target_.version)) {
      verdict.support = row.support;
      verdict.layer = row.layer;
    }
  }
  const bool known = !node.out.empty() && node.out[0] != kNoValue && is_constant(node.out[0]);
  if (known && !is_quantization(node.op)) verdict.support = DlaSupport::folded;
  if (verdict.support != DlaSupport::native) return verdict;
  verdict.layer = layer_of(node, verdict.layer);
  std::set<std::string_view> told;
  for (const Quantity& quantity : measure(node, verdict.layer)) {
    for (const DlaLimit& limit : dla_limits()) {
      const bool concerns = limit.layer == DlaLayer::any || limit.layer == verdict.layer;
      if (!concerns || limit.quantity != quantity.name || !limit.versions.contains(target_.version)) continue;
      if (quantity.value >= limit.lo && quantity.value <= limit.hi) continue;
      if (told.insert(quantity.name).second)
        verdict.broken.push_back({limit.quantity, quantity.value, limit.lo, limit.hi, limit.source});
    }
  }
  return verdict;
}

}  // namespace eke
