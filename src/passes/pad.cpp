// Zero padding, into the convolution or pooling that follows it.
#include <algorithm>

#include "passes/pass_list.h"
#include "passes/rewriter.h"

namespace eke {
namespace {

// Zeros around the spatial axes of `x`: begin and end for each.
struct ZeroPad {
  ValueId x;
  std::vector<std::int64_t> begin, end;
};

bool is_zero(Rewriter& r, const Node& pad) {
  if (pad.in.size() < 3 || pad.in[2] == kNoValue) return true;
  const Tensor* value = r.constant(pad.in[2]);
  return value && value->count() == 1 && element_as_double(value->view(), 0) == 0;
}

std::optional<ZeroPad> zero_pad(Rewriter& r, ValueId id) {
  const auto* a = r.made_by<op::Pad>(id);
  if (!a || a->mode != "constant" || !is_float(r.type(id).dtype)) return std::nullopt;
  const Node& node = *r.producer(id);
  const Tensor* pads = r.constant(node.in[1]);
  const bool has_axes = node.in.size() > 3 && node.in[3] != kNoValue;
  const Tensor* axes = has_axes ? r.constant(node.in[3]) : nullptr;
  if (!pads || !is_zero(r, node) || (has_axes && !axes)) return std::nullopt;

  const int rank = r.type(id).shape.rank();
  std::vector<std::int64_t> which;
  if (axes) which = as_ints(*axes);
  for (int i = 0; !axes && i < rank; ++i) which.push_back(i);
  const std::vector<std::int64_t> amounts = as_ints(*pads);
  const auto spatial = static_cast<std::size_t>(std::max(rank - 2, 0));
  ZeroPad pad{node.in[0], std::vector<std::int64_t>(spatial, 0), std::vector<std::int64_t>(spatial, 0)};
  for (std::size_t i = 0; i < which.size(); ++i) {
    const std::int64_t axis = which[i] < 0 ? which[i] + rank : which[i];
    const std::int64_t begin = amounts[i], end = amounts[i + which.size()];
    if (begin < 0 || end < 0 || (axis < 2 && (begin != 0 || end != 0))) return std::nullopt;
    if (axis < 2) continue;
    pad.begin[static_cast<std::size_t>(axis - 2)] = begin;
    pad.end[static_cast<std::size_t>(axis - 2)] = end;
  }
  return pad;
}

void add(op::Ints& pads, const ZeroPad& pad) {
  const std::size_t n = pad.begin.size();
  pads.resize(2 * n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    pads[i] += pad.begin[i];
    pads[i + n] += pad.end[i];
  }
}

bool has_explicit_pads(const std::string& auto_pad) { return auto_pad == "NOTSET"; }

// The zeros are elements of the input: the pooling has to count them, and none of those it adds itself.
bool counts_alike(const op::AveragePool& a) {
  const bool unpadded = std::all_of(a.pads.begin(), a.pads.end(), [](std::int64_t p) { return p == 0; });
  return a.ceil_mode == 0 && (a.count_include_pad != 0 || unpadded);
}

bool fold(Rewriter& r) {
  const std::optional<ZeroPad> pad = zero_pad(r, r.in(0));
  if (!pad) return false;
  std::vector<ValueId> in = r.node().in;
  in[0] = pad->x;
  if (const auto* conv = r.current<op::Conv>(); conv && has_explicit_pads(conv->auto_pad)) {
    op::Conv padded = *conv;
    add(padded.pads, *pad);
    r.replace(std::move(padded), std::move(in));
    return true;
  }
  const auto* pool = r.current<op::AveragePool>();
  if (!pool || !has_explicit_pads(pool->auto_pad) || !counts_alike(*pool)) return false;
  op::AveragePool padded = *pool;
  add(padded.pads, *pad);
  padded.count_include_pad = 1;
  r.replace(std::move(padded), std::move(in));
  return true;
}

}  // namespace

Graph fold_pad(Graph graph) {
  Rewriter r(std::move(graph));
  r.for_each_node([&] {
    while (fold(r)) {
    }
  });
  return std::move(r).finish();
}

}  // namespace eke
