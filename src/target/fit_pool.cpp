// Global poolings and windows beyond 8: as depthwise convolutions, or as chains of smaller windows where the extents
// divide.
#include <fmt/format.h>

#include <algorithm>

#include "target/fit_rules.h"

namespace eke {
namespace {

constexpr std::int64_t kMaxWindow = 8, kMaxKernel = 32, kMaxConvStride = 8;

// Windows of at most 8 whose product is `extent`; nothing where a prime factor is larger.
std::optional<std::vector<std::int64_t>> windows_of(std::int64_t extent) {
  std::vector<std::int64_t> windows;
  while (extent > kMaxWindow) {
    std::int64_t window = kMaxWindow;
    while (window > 1 && extent % window != 0) --window;
    if (window == 1) return std::nullopt;
    windows.push_back(window);
    extent /= window;
  }
  windows.push_back(extent);
  return windows;
}

op::AveragePool average(std::int64_t height, std::int64_t width) {
  op::AveragePool pool;
  pool.kernel_shape = {height, width};
  pool.strides = {height, width};
  pool.pads = {0, 0, 0, 0};
  return pool;
}

Tensor filled(const Shape& shape, float value) {
  Tensor tensor(DType::f32, shape);
  std::ranges::fill(tensor.mutable_values<float>(), value);
  return tensor;
}

op::Conv window(std::int64_t height, std::int64_t width) {
  op::Conv conv;
  conv.kernel_shape = {height, width};
  conv.strides = {1, 1};
  conv.pads = {0, 0, 0, 0};
  return conv;
}

// A depthwise convolution whose taps are all alike.
void replace_by_convolution(FitRun& run, op::Conv conv, ValueId x) {
  Rewriter& r = run.r;
  const std::int64_t channels = r.type(x).shape[1], height = conv.kernel_shape[0],
                     width = conv.kernel_shape[1];
  conv.group = channels;
  conv.dilations = {1, 1};
  const ValueId weights = r.add_constant(
      run.name() + "_weights",
      filled({channels, 1, height, width}, static_cast<float>(1.0 / static_cast<double>(height * width))));
  r.replace(std::move(conv), {x, weights});
}

// In int8 a pooling has one scale for its input and its output, and the average of a whole map needs a finer one: there the
// last window is a convolution.
bool is_int8(const FitRun& run) { return run.options.target.precision == DlaPrecision::int8; }

void as_chain(FitRun& run, std::vector<std::int64_t> rows, std::vector<std::int64_t> columns,
              const std::string& why) {
  Rewriter& r = run.r;
  const std::size_t steps = std::max(rows.size(), columns.size());
  rows.resize(steps, 1);
  columns.resize(steps, 1);
  const std::string name = run.name();
  run.changed(steps == 1 ? fmt::format("AveragePool {}x{}", rows[0], columns[0])
                         : fmt::format("a chain of {} AveragePools", steps),
              why);
  ValueId x = r.in(0);
  for (std::size_t i = 0; i + 1 < steps; ++i)
    x = r.insert(average(rows[i], columns[i]), {x}, fmt::format("{}_part{}", name, i + 1));
  if (is_int8(run)) return replace_by_convolution(run, window(rows[steps - 1], columns[steps - 1]), x);
  r.replace(average(rows[steps - 1], columns[steps - 1]), {x});
}

void as_convolution(FitRun& run, op::Conv conv, const std::string& why) {
  run.changed(fmt::format("a depthwise convolution {}x{}", conv.kernel_shape[0], conv.kernel_shape[1]), why);
  replace_by_convolution(run, std::move(conv), run.r.in(0));
}

bool is_map(FitRun& run) {
  const Type& type = run.r.type(run.r.in(0));
  return type.shape.rank() == 4 && type.dtype == DType::f32;
}

void global_average(FitRun& run, const std::string& why) {
  const Shape& x = run.r.type(run.r.in(0)).shape;
  const auto rows = windows_of(x[2]), columns = windows_of(x[3]);
  const bool convolvable = x[2] <= kMaxKernel && x[3] <= kMaxKernel;
  if (rows && columns && !(is_int8(run) && convolvable)) return as_chain(run, *rows, *columns, why);
  if (convolvable) as_convolution(run, window(x[2], x[3]), why);
}

bool is_unpadded(const op::Ints& pads) {
  return std::ranges::all_of(pads, [](std::int64_t pad) { return pad == 0; });
}

void large_average(FitRun& run, const op::AveragePool& a) {
  const Shape& x = run.r.type(run.r.in(0)).shape;
  if (a.kernel_shape.size() != 2) return;
  const bool large = std::max(a.kernel_shape[0], a.kernel_shape[1]) > kMaxWindow,
             global = is_unpadded(a.pads) && a.kernel_shape == op::Ints{x[2], x[3]} && x[2] * x[3] > 1;
  const std::string why = fmt::format("a window has at most {}x{}", kMaxWindow, kMaxWindow);
  if (global && !large && is_int8(run))
    return global_average(run,
                          "in int8 a pooling keeps the scale of its input, which is coarse for averages");
  if (!large) return;
  if (global) return global_average(run, why);
  const bool strides_fit = std::ranges::all_of(a.strides, [](std::int64_t s) { return s <= kMaxConvStride; });
  const bool alike =
      a.auto_pad == "NOTSET" && a.ceil_mode == 0 && (a.count_include_pad != 0 || is_unpadded(a.pads));
  if (!alike || !strides_fit || std::max(a.kernel_shape[0], a.kernel_shape[1]) > kMaxKernel) return;
  op::Conv conv;
  conv.kernel_shape = a.kernel_shape;
  conv.strides = a.strides.empty() ? op::Ints{1, 1} : a.strides;
  conv.pads = a.pads.empty() ? op::Ints{0, 0, 0, 0} : a.pads;
  as_convolution(run, std::move(conv), why);
}

// A window of k is a chain of windows k1, k2, ... with k - 1 = (k1 - 1) + (k2 - 1) + ..., the stride in the last
// one. Padding is shared out likewise, always less than the window.
void large_max(FitRun& run, const op::MaxPool& a) {
  if (a.kernel_shape.size() != 2 || std::max(a.kernel_shape[0], a.kernel_shape[1]) <= kMaxWindow) return;
  const bool undilated = std::ranges::all_of(a.dilations, [](std::int64_t d) { return d == 1; });
  if (a.auto_pad != "NOTSET" || a.ceil_mode != 0 || !undilated || run.r.node().out.size() != 1) return;
  op::Ints reach = {a.kernel_shape[0] - 1, a.kernel_shape[1] - 1},
           pads = a.pads.empty() ? op::Ints{0, 0, 0, 0} : a.pads;
  Rewriter& r = run.r;
  const std::string name = run.name();
  ValueId x = r.in(0);
  int steps = 0;
  const auto next = [&] {
    op::MaxPool part;
    part.strides = {1, 1};
    part.pads = {0, 0, 0, 0};
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::int64_t step = std::min(reach[axis], kMaxWindow - 1);
      reach[axis] -= step;
      part.kernel_shape.push_back(step + 1);
      for (const std::size_t side : {axis, axis + 2}) {
        part.pads[side] = std::min(pads[side], step);
        pads[side] -= part.pads[side];
      }
    }
    ++steps;
    return part;
  };
  while (true) {
    op::MaxPool part = next();
    if (reach[0] > 0 || reach[1] > 0) {
      x = r.insert(std::move(part), {x}, fmt::format("{}_part{}", name, steps));
      continue;
    }
    if (!a.strides.empty()) part.strides = a.strides;
    run.changed(fmt::format("a chain of {} MaxPools", steps),
                fmt::format("a window has at most {}x{}", kMaxWindow, kMaxWindow));
    return r.replace(std::move(part), {x});
  }
}

void global_max(FitRun& run) {
  const Shape& x = run.r.type(run.r.in(0)).shape;
  const auto rows = windows_of(x[2]), columns = windows_of(x[3]);
  if (!rows || !columns) return;
  Rewriter& r = run.r;
  const std::size_t steps = std::max(rows->size(), columns->size());
  const std::string name = run.name();
  run.changed(fmt::format("a chain of {} MaxPools", steps), "TensorRT does not place GlobalMaxPool");
  ValueId from = r.in(0);
  for (std::size_t i = 0; i < steps; ++i) {
    op::MaxPool part;
    part.kernel_shape = {i < rows->size() ? (*rows)[i] : 1, i < columns->size() ? (*columns)[i] : 1};
    part.strides = part.kernel_shape;
    part.pads = {0, 0, 0, 0};
    if (i + 1 == steps) return r.replace(std::move(part), {from});
    from = r.insert(std::move(part), {from}, fmt::format("{}_part{}", name, i + 1));
  }
}

}  // namespace

void fit_poolings(FitRun& run) {
  run.r.for_each_node([&] {
    if (run.r.in(0) == kNoValue || !is_map(run)) return;
    if (run.r.current<op::GlobalAveragePool>()) {
      global_average(run, "TensorRT does not place GlobalAveragePool");
    } else if (run.r.current<op::GlobalMaxPool>()) {
      if (run.options.target.version < TensorRtVersion{10, 0}) global_max(run);
    } else if (const auto* average_pool = run.r.current<op::AveragePool>()) {
      large_average(run, op::AveragePool(*average_pool));
    } else if (const auto* max_pool = run.r.current<op::MaxPool>()) {
      large_max(run, op::MaxPool(*max_pool));
    }
  });
}

}  // namespace eke
