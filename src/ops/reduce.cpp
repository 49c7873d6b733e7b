#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/broadcast.h"
#include "ops/element.h"
#include "ops/families.h"
#include "ops/operands.h"
#include "ops/quantized.h"

namespace eke {
namespace {

using op::ReduceFn;

// --- Reduce ------------------------------------------------------------------------------------------------

using AxisSet = std::array<bool, Shape::kMaxRank>;

// The axes over which an operator reduces; none where it is an identity.
AxisSet reduced_axes(const op::Reduce& a, const Shape& x, const TensorView& axes) {
  AxisSet set{};
  if (!axes || axes.count() == 0) {
    if (a.noop_with_empty_axes == 0) std::fill_n(set.begin(), x.rank(), true);
    return set;
  }
  for (std::int64_t i = 0; i < axes.count(); ++i) {
    set[static_cast<std::size_t>(normalize_axis(element_as_int(axes, i), x.rank()))] = true;
  }
  return set;
}

bool is_identity(const op::Reduce& a, const TensorView& axes) noexcept {
  return a.noop_with_empty_axes != 0 && (!axes || axes.count() == 0);
}

void upgrade_reduce(OnnxNode& node, Graph& graph) { attribute_to_input(node, graph, "axes", 1); }

void check_reducible(const Op& op, const Type& x) {
  const ReduceFn fn = attributes<op::Reduce>(op).fn;
  const bool selects = fn == ReduceFn::ReduceMax || fn == ReduceFn::ReduceMin;
  check(x.dtype != DType::boolean || selects, "{} has no form for {}", op_name(op), to_string(x));
}

std::vector<Type> infer_reduce(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<op::Reduce>(op);
  const Type& x = required(in, 0, "data");
  check_inputs_at_most(in, 2);
  check_reducible(op, x);
  const AxisSet set = reduced_axes(a, x.shape, shape_operand(in, 1, "axes"));
  Shape shape;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (!set[static_cast<std::size_t>(i)])
      shape.push_back(x.shape[i]);
    else if (a.keepdims != 0)
      shape.push_back(1);
  }
  return {moved(x, shape)};
}

// The tensor as an outer loop over kept axes and an inner loop over reduced ones.
struct Loops {
  Shape kept, reduced;
  std::array<Strides, 1> kept_strides{}, reduced_strides{};

  Loops(const Shape& x, const AxisSet& set) {
    const Strides strides = dense_strides(x);
    for (int i = 0; i < x.rank(); ++i) {
      const auto axis = static_cast<std::size_t>(i);
      Shape& shape = set[axis] ? reduced : kept;
      (set[axis] ? reduced_strides : kept_strides)[0][static_cast<std::size_t>(shape.rank())] = strides[axis];
      shape.push_back(x[i]);
    }
  }

  // f(o, each) for each element o of the output, where each(g) calls g(i) for each input element that goes
  // into it.
  template <class F>
  void for_each(F&& f) const {
    for_each_offset(kept, kept_strides, [&](std::int64_t o, const auto& base) {
      f(o, [&](auto&& g) {
        for_each_offset(reduced, reduced_strides, [&](std::int64_t, const auto& at) { g(base[0] + at[0]); });
      });
    });
  }
};

// The greatest (or least) of a group; its neutral element for an empty one. NaN wins.
template <class C, class Each, class Load>
C select(bool greatest, const Each& each, const Load& load) {
  C best = greatest ? std::numeric_limits<C>::lowest() : std::numeric_limits<C>::max();
  if constexpr (std::is_floating_point_v<C>) {
    constexpr C kInfinity = std::numeric_limits<C>::infinity();
    best = greatest ? -kInfinity : kInfinity;
  }
  each([&](std::int64_t i) {
    const C x = load(i);
    if ((greatest ? x > best : x < best) || x != x) best = x;
  });
  return best;
}

template <class Each, class Load>
double log_sum_exp(const Each& each, const Load& load) {
  const double top = select<double>(true, each, load);
  if (!std::isfinite(top)) return top;
  double sum = 0;
  each([&](std::int64_t i) { sum += std::exp(load(i) - top); });
  return top + std::log(sum);
}

// One group in double; load(i) gives element i, n is the size of the group.
template <class Each, class Load>
double reduce_group(ReduceFn fn, double n, const Each& each, const Load& load) {
  double sum = fn == ReduceFn::ReduceProd ? 1 : 0;
  const auto accumulate = [&](auto&& term) { each([&](std::int64_t i) { sum += term(load(i)); }); };
  const auto square = [](double x) { return x * x; };
  switch (fn) {
    case ReduceFn::ReduceSum:
      accumulate([](double x) { return x; });
      return sum;
    case ReduceFn::ReduceMean:
      accumulate([](double x) { return x; });
      return sum / n;
    case ReduceFn::ReduceL1:
      accumulate([](double x) { return std::abs(x); });
      return sum;
    case ReduceFn::ReduceL2:
      accumulate(square);
      return std::sqrt(sum);
    case ReduceFn::ReduceSumSquare:
      accumulate(square);
      return sum;
    case ReduceFn::ReduceLogSum:
      accumulate([](double x) { return x; });
      return std::log(sum);
    case ReduceFn::ReduceLogSumExp:
      return log_sum_exp(each, load);
    case ReduceFn::ReduceProd:
      each([&](std::int64_t i) { sum *= load(i); });
      return sum;
    case ReduceFn::ReduceMax:
      return select<double>(true, each, load);
    case ReduceFn::ReduceMin:
      return select<double>(false, each, load);
  }
  return sum;
}

// Sums and products of integers are exact modulo 2^64; the rest goes through double.
template <class T, class Each, class Load>
T reduce_integers(ReduceFn fn, double n, const Each& each, const Load& load) {
  std::uint64_t sum = fn == ReduceFn::ReduceProd ? 1 : 0;
  const auto bits = [&](std::int64_t i) { return static_cast<std::uint64_t>(load(i)); };
  switch (fn) {
    case ReduceFn::ReduceMax:
      return select<T>(true, each, load);
    case ReduceFn::ReduceMin:
      return select<T>(false, each, load);
    case ReduceFn::ReduceSum:
      each([&](std::int64_t i) { sum += bits(i); });
      return static_cast<T>(sum);
    case ReduceFn::ReduceProd:
      each([&](std::int64_t i) { sum *= bits(i); });
      return static_cast<T>(sum);
    case ReduceFn::ReduceSumSquare:
      each([&](std::int64_t i) { sum += bits(i) * bits(i); });
      return static_cast<T>(sum);
    case ReduceFn::ReduceL1:
      each([&](std::int64_t i) { sum += load(i) < T{0} ? 0 - bits(i) : bits(i); });
      return static_cast<T>(sum);
    default:
      return converted_value<T>(
          reduce_group(fn, n, each, [&](std::int64_t i) { return static_cast<double>(load(i)); }));
  }
}

// Rule 11.
void eval_quantized_mean(const Loops& loops, const TensorView& x, const MutTensorView& y) {
  const quantized::Params px = quantized::params(*x.type), py = quantized::params(*y.type);
  const double n = static_cast<double>(loops.reduced.count());
  const auto k = static_cast<float>(static_cast<double>(px.scale) / (static_cast<double>(py.scale) * n));
  loops.for_each([&](std::int64_t o, const auto& each) {
    std::uint32_t sum = 0;
    each([&](std::int64_t i) { sum += static_cast<std::uint32_t>(quantized::load(x, i) - px.zero_point); });
    const float v = static_cast<float>(static_cast<std::int32_t>(sum)) * k;
    quantized::store(y, o, quantized::sat(v, py.zero_point, quantized::bounds_of(y.dtype())));
  });
}

void eval_quantized(ReduceFn fn, const Loops& loops, const TensorView& x, const MutTensorView& y) {
  if (fn == ReduceFn::ReduceMean && x.type->quant && y.type->quant) return eval_quantized_mean(loops, x, y);
  const auto n = static_cast<double>(loops.reduced.count());
  const auto load = [&](std::int64_t i) { return static_cast<double>(quantized::load_real(x, i)); };
  loops.for_each([&](std::int64_t o, const auto& each) {
    quantized::store_real(y, o, static_cast<float>(reduce_group(fn, n, each, load)));
  });
}

void eval_reduce(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::Reduce>(op);
  const TensorView x = in[0], axes = operand(in, 1);
  const MutTensorView y = out[0];
  if (is_identity(a, axes) && x.type->quant == y.type->quant) return copy_bytes(x, y);
  const Loops loops(x.shape(), reduced_axes(a, x.shape(), axes));
  if (x.type->quant || y.type->quant) return eval_quantized(a.fn, loops, x, y);
  const auto n = static_cast<double>(loops.reduced.count());
  visit_dtype(x.dtype(), [&]<class T>(ElementTag<T>) {
    loops.for_each([&](std::int64_t o, const auto& each) {
      if constexpr (kIsFloat<T>) {
        const auto load = [&](std::int64_t i) { return static_cast<double>(x.as<T>()[i]); };
        y.as<T>()[o] = converted_value<T>(reduce_group(a.fn, n, each, load));
      } else {
        y.as<T>()[o] = reduce_integers<T>(a.fn, n, each, [&](std::int64_t i) { return x.as<T>()[i]; });
      }
    });
  });
}

OpDef reduce_def() {
  OpDef def{.kind = op::Reduce{}, .onnx = {}};
  const auto since = [](ReduceFn fn) { return fn == ReduceFn::ReduceSum ? 13 : 18; };
#define EKE_NAME(name) def.onnx.push_back({#name, op::Reduce{ReduceFn::name}, since(ReduceFn::name)});
  EKE_REDUCE_FNS(EKE_NAME)
#undef EKE_NAME
  def.upgrade = upgrade_reduce;
  def.infer = infer_reduce;
  def.eval = eval_reduce;
  def.quant = {QuantRule::Kind::own_scale};
  def.shape_inputs = 0b10;
  return def;
}

// --- along one axis ----------------------------------------------------------------------------------------

// Rows of `extent` elements, `inner` apart, `outer * inner` of them.
struct Rows {
  std::int64_t outer, extent, inner;

  Rows(const Shape& x, int axis) noexcept
      : outer(x.count(0, axis)), extent(x[axis]), inner(x.count(axis + 1, x.rank())) {}

  // f(begin, k): the first element of each row in this tensor, and the first of the same row in one of extent
  // k.
  template <class F>
  void for_each(std::int64_t k, F&& f) const {
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) f(o * extent * inner + i, o * k * inner + i);
    }
  }
};

// --- ArgMax, ArgMin ----------------------------------------------------------------------------------------

template <class A>
std::vector<Type> infer_arg(const Op& op, std::span<const Operand> in) {
  const auto& a = attributes<A>(op);
  const Type& x = required(in, 0, "data");
  check_inputs_at_most(in, 1);
  check(x.dtype != DType::boolean, "{} has no form for {}", op_name(op), to_string(x));
  check(!x.quant || x.quant->per_tensor(), "{} over a tensor quantized per axis: dequantize it first",
        op_name(op));
  const int axis = normalize_axis(a.axis, x.shape.rank());
  check(x.shape[axis] > 0, "axis {} of {} is empty: nothing to choose from", axis, to_string(x));
  Shape shape;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (i != axis)
      shape.push_back(x.shape[i]);
    else if (a.keepdims != 0)
      shape.push_back(1);
  }
  return {checked(DType::i64, shape)};
}

template <class A>
void eval_arg(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  constexpr bool kGreatest = std::is_same_v<A, op::ArgMax>;
  const auto& a = attributes<A>(op);
  const bool last = a.select_last_index != 0;
  const Rows rows(in[0].shape(), normalize_axis(a.axis, in[0].shape().rank()));
  visit_dtype(in[0].dtype(), [&]<class T>(ElementTag<T>) {
    using C = Computed<T>;
    rows.for_each(1,
                  [&, x = in[0].as<T>(), y = out[0].as<std::int64_t>()](std::int64_t begin, std::int64_t o) {
                    std::int64_t best = 0;
                    for (std::int64_t i = 1; i < rows.extent; ++i) {
                      const C value = x[begin + i * rows.inner], leader = x[begin + best * rows.inner];
                      if ((kGreatest ? value > leader : value < leader) || (last && value == leader))
                        best = i;
                    }
                    y[o] = best;
                  });
  });
}

template <class A>
OpDef arg_def(std::string_view name) {
  return {.kind = A{}, .onnx = {{name, A{}, 12}}, .infer = infer_arg<A>, .eval = eval_arg<A>};
}

// --- TopK --------------------------------------------------------------------------------------------------

void upgrade_top_k(OnnxNode& node, Graph& graph) {
  if (const auto k = take_attribute<std::int64_t>(node, "k")) {
    add_input(node, graph, 1, "k", Tensor::from<std::int64_t>({1}, {*k}));
  }
}

std::vector<Type> infer_top_k(const Op& op, std::span<const Operand> in) {
  const Type& x = required(in, 0, "x");
  required(in, 1, "k");
  check_inputs_at_most(in, 2);
  check(x.dtype != DType::boolean && !x.quant, "TopK has no form for {}", to_string(x));
  const TensorView k = shape_operand(in, 1, "k");
  check(k.count() == 1, "k has shape {}; one number is needed", to_string(k.shape()));
  const int axis = normalize_axis(attributes<op::TopK>(op).axis, x.shape.rank());
  Shape shape = x.shape;
  shape[axis] = element_as_int(k, 0);
  check(shape[axis] >= 0 && shape[axis] <= x.shape[axis], "k is {}, outside [0, {}]", shape[axis],
        x.shape[axis]);
  return {checked(x.dtype, shape), checked(DType::i64, shape)};
}

// The best k of one row so far, best first; of equals the one that came first stays first. Either output may
// be absent.
template <class T>
struct Best {
  bool largest;
  std::int64_t k, step;
  const T* x;
  T* values;
  std::int64_t* indexes;

  Computed<T> held(std::int64_t place) const noexcept {
    return values ? values[place * step] : x[indexes[place * step] * step];
  }
  void move(std::int64_t from, std::int64_t to) const noexcept {
    if (values) values[to * step] = values[from * step];
    if (indexes) indexes[to * step] = indexes[from * step];
  }
  void insert(std::int64_t i) const noexcept {
    const Computed<T> value = x[i * step];
    const auto better = [&](Computed<T> than) { return largest ? value > than : value < than; };
    if (i >= k && !better(held(k - 1))) return;
    std::int64_t place = std::min(i, k - 1);
    for (; place > 0 && better(held(place - 1)); --place) move(place - 1, place);
    if (values) values[place * step] = x[i * step];
    if (indexes) indexes[place * step] = i;
  }
};

void eval_top_k(const Op& op, std::span<const TensorView> in, std::span<const MutTensorView> out) {
  const auto& a = attributes<op::TopK>(op);
  const MutTensorView values = result(out, 0), indexes = result(out, 1);
  const std::int64_t k = element_as_int(in[1], 0);
  if (k == 0 || (!values && !indexes)) return;
  const Rows rows(in[0].shape(), normalize_axis(a.axis, in[0].shape().rank()));
  visit_dtype(in[0].dtype(), [&]<class T>(ElementTag<T>) {
    rows.for_each(k, [&](std::int64_t begin, std::int64_t o) {
      const Best<T> best{a.largest != 0,
                         k,
                         rows.inner,
                         in[0].as<T>() + begin,
                         values ? values.as<T>() + o : nullptr,
                         indexes ? indexes.as<std::int64_t>() + o : nullptr};
      for (std::int64_t i = 0; i < rows.extent; ++i) best.insert(i);
    });
  });
}

}  // namespace

std::vector<OpDef> reduce_ops() {
  return {
      reduce_def(),
      arg_def<op::ArgMax>("ArgMax"),
      arg_def<op::ArgMin>("ArgMin"),
      {.kind = op::TopK{},
       .onnx = {{"TopK", op::TopK{}, 11}},
       .upgrade = upgrade_top_k,
       .infer = infer_top_k,
       .eval = eval_top_k,
       .shape_inputs = 0b10},
  };
}

}  // namespace eke
