// Operators that move elements. Changes of shape alone cost nothing; Concat copies rows; all others become a
// map from output blocks to input blocks, found at compile time by running the operator on element numbers.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>

#include "kernels/eltwise/registry.h"
#include "ops/op_def.h"
#include "runtime/tactics/table.h"

namespace eke {
namespace {

template <class... Ops>
bool is_any(const Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

bool keeps_bytes(const Query& query) {
  const bool kind =
      is_any<op::Reshape, op::Flatten, op::Squeeze, op::Unsqueeze, op::Identity, op::Dropout>(query.node.op);
  return kind && query.constant(0) == nullptr && query.in(0).dtype == query.out().dtype &&
         (query.node.out.size() == 1 || query.node.out[1] == kNoValue);
}

// --- Concat ------------------------------------------------------------------------------------------------

int axis_in_memory(std::int64_t axis, const Shape& shape, Layout layout) {
  const auto a = static_cast<int>(axis < 0 ? axis + shape.rank() : axis);
  constexpr std::array kNhwc{0, 3, 1, 2};
  return layout == Layout::nhwc && shape.rank() == 4 ? kNhwc[static_cast<std::size_t>(a)] : a;
}

Shape in_memory(const Shape& s, Layout layout) {
  return layout == Layout::nhwc && s.rank() == 4 ? Shape{s[0], s[2], s[3], s[1]} : s;
}

class ConcatStep : public Step {
 public:
  explicit ConcatStep(const Query& query) : lut_(kernels::select_lut(query.isa)) {
    const Type& y = query.out();
    const Shape out = in_memory(y.shape, query.layout);
    const int axis = axis_in_memory(std::get<op::Concat>(query.node.op).axis, y.shape, query.layout);
    const auto element = static_cast<std::int64_t>(size_of(y.dtype));
    outer_ = out.count(0, axis);
    out_row_ = out.count(axis, out.rank()) * element;
    for (std::size_t i = 0; i < query.inputs(); ++i) {
      const Shape in = in_memory(query.in(i).shape, query.layout);
      Part part{in.count(axis, in.rank()) * element, {}, query.in(i).quant != y.quant};
      if (part.requantize) part.table = requantize_table(query.in(i), y);
      parts_.push_back(part);
    }
  }

  void run(const StepArgs& args) const noexcept override {
    args.threads->for_ranges(static_cast<std::size_t>(outer_), [&](std::size_t begin, std::size_t end) {
      for (auto o = static_cast<std::int64_t>(begin); o < static_cast<std::int64_t>(end); ++o) {
        std::byte* out = args.out[0] + o * out_row_;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
          const Part& part = parts_[i];
          copy(part, args.in[i] + o * part.row, out);
          out += part.row;
        }
      }
    });
  }

 private:
  struct Part {
    std::int64_t row;  // bytes
    Table table;
    bool requantize;
  };

  void copy(const Part& part, const std::byte* in, std::byte* out) const noexcept {
    const auto bytes = static_cast<std::size_t>(part.row);
    if (part.requantize)
      lut_({reinterpret_cast<const std::uint8_t*>(in), reinterpret_cast<std::uint8_t*>(out), bytes,
            part.table.data()});
    else
      std::memcpy(out, in, bytes);
  }

  std::int64_t outer_ = 0, out_row_ = 0;
  std::vector<Part> parts_;
  kernels::LutFn lut_;
};

bool is_concat(const Query& query) {
  if (!std::holds_alternative<op::Concat>(query.node.op) || query.out().shape.count() == 0) return false;
  for (std::size_t i = 0; i < query.inputs(); ++i) {
    const bool same = query.in(i).quant == query.out().quant && query.in(i).dtype == query.out().dtype;
    if (!same && !(is_stored_u8(query.in(i)) && is_stored_u8(query.out()))) return false;
    if (query.constant(i) != nullptr && query.in(i).shape.rank() == 4) return false;
  }
  return true;
}

// --- maps --------------------------------------------------------------------------------------------------

// Output block i comes from input block `source[i]`; a negative source is filled with a value.
struct BlockMap {
  std::vector<std::int32_t> source;
  std::int64_t block = 1;  // elements
};

// NCHW element number to its number in memory.
std::int64_t number_in_memory(std::int64_t i, const Shape& s, Layout layout) {
  if (layout == Layout::plain || s.rank() != 4) return i;
  const std::int64_t w = i % s[3], h = i / s[3] % s[2], c = i / (s[3] * s[2]) % s[1],
                     n = i / (s[3] * s[2] * s[1]);
  return ((n * s[2] + h) * s[3] + w) * s[1] + c;
}

// The longest block that divides every run of consecutive elements.
std::int64_t block_of(const std::vector<std::int32_t>& source, std::int64_t row) {
  std::int64_t block = row;
  for (std::size_t begin = 0; begin < source.size() && block > 1;) {
    std::size_t end = begin + 1;
    const bool fill = source[begin] < 0;
    while (end < source.size() && source[end] == (fill ? -1 : source[end - 1] + 1)) ++end;
    // A run may start anywhere: both its place in the output and in the input must be whole blocks.
    block = std::gcd(block, static_cast<std::int64_t>(end - begin));
    block = std::gcd(block, static_cast<std::int64_t>(begin));
    if (!fill) block = std::gcd(block, static_cast<std::int64_t>(source[begin]));
    begin = end;
  }
  return std::max<std::int64_t>(block, 1);
}

std::vector<BlockMap> block_maps(const Query& query) {
  const Shape& x = query.in(0).shape;
  Tensor numbers(DType::i32, x);
  auto values = numbers.mutable_values<std::int32_t>();
  std::iota(values.begin(), values.end(), 1);  // 0 is what Pad fills with
  std::vector<TensorView> in(query.inputs());
  in[0] = numbers.view();
  const bool pad = std::holds_alternative<op::Pad>(query.node.op);
  for (std::size_t i = 1; i < in.size(); ++i)
    if (query.has(i) && !(pad && i == 2)) in[i] = query.constant(i)->view();
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < query.node.out.size(); ++i)
    results.emplace_back(DType::i32, query.out(i).shape);
  std::vector<MutTensorView> out;
  for (Tensor& result : results) out.push_back(result.mutable_view());
  def(query.node.op).eval(query.node.op, in, out);

  std::vector<BlockMap> maps;
  for (const Tensor& result : results) {
    BlockMap map;
    const auto numbered = result.values<std::int32_t>();
    map.source.resize(numbered.size());
    for (std::size_t i = 0; i < numbered.size(); ++i) {
      const auto place = number_in_memory(static_cast<std::int64_t>(i), result.shape(), query.layout);
      const auto source = numbered[i] == 0 ? -1 : number_in_memory(numbered[i] - 1, x, query.layout);
      map.source[static_cast<std::size_t>(place)] = static_cast<std::int32_t>(source);
    }
    map.block = block_of(map.source, static_cast<std::int64_t>(map.source.size()));
    std::vector<std::int32_t> blocks;
    for (std::size_t i = 0; i < map.source.size(); i += static_cast<std::size_t>(map.block))
      blocks.push_back(map.source[i] < 0 ? -1 : static_cast<std::int32_t>(map.source[i] / map.block));
    map.source = std::move(blocks);
    maps.push_back(std::move(map));
  }
  return maps;
}

class MapStep : public Step {
 public:
  explicit MapStep(const Query& query) : maps_(block_maps(query)), element_(size_of(query.in(0).dtype)) {
    if (query.in(0).quant) fill_[0] = static_cast<std::byte>(query.in(0).quant->zero_point[0]);
    const bool pad = std::holds_alternative<op::Pad>(query.node.op);
    if (pad && query.has(2) && query.in(2).dtype == query.in(0).dtype)
      std::memcpy(fill_.data(), query.constant(2)->data(), element_);
  }

  std::size_t weight_bytes() const noexcept override {
    std::size_t bytes = 0;
    for (const BlockMap& map : maps_) bytes += map.source.size() * sizeof(std::int32_t);
    return bytes;
  }

  void run(const StepArgs& args) const noexcept override {
    for (std::size_t o = 0; o < maps_.size(); ++o) {
      const BlockMap& map = maps_[o];
      args.threads->for_ranges(map.source.size(), [&](std::size_t begin, std::size_t end) {
        const std::size_t bytes = static_cast<std::size_t>(map.block) * element_;
        const bool one_fill = bytes == element_ || element_ == 1;
        if (bytes == 1) return move<std::uint8_t>(map, args.in[0], args.out[o], begin, end);
        if (bytes == 4 && one_fill) return move<std::uint32_t>(map, args.in[0], args.out[o], begin, end);
        for (std::size_t i = begin; i < end; ++i)
          block(map.source[i], bytes, args.in[0], args.out[o] + i * bytes);
      });
    }
  }

 private:
  template <class T>
  void move(const BlockMap& map, const std::byte* in, std::byte* out, std::size_t begin,
            std::size_t end) const noexcept {
    T fill;
    if (sizeof(T) == element_)
      std::memcpy(&fill, fill_.data(), sizeof(T));
    else
      std::memset(&fill, static_cast<int>(fill_[0]), sizeof(T));
    const T* from = reinterpret_cast<const T*>(in);
    T* to = reinterpret_cast<T*>(out);
    for (std::size_t i = begin; i < end; ++i) to[i] = map.source[i] < 0 ? fill : from[map.source[i]];
  }

  void block(std::int32_t source, std::size_t bytes, const std::byte* in, std::byte* out) const noexcept {
    if (source >= 0) {
      std::memcpy(out, in + static_cast<std::size_t>(source) * bytes, bytes);
    } else if (element_ == 1) {
      std::memset(out, static_cast<int>(fill_[0]), bytes);
    } else {
      for (std::size_t i = 0; i < bytes; i += element_) std::memcpy(out + i, fill_.data(), element_);
    }
  }

  std::vector<BlockMap> maps_;
  std::size_t element_;
  std::array<std::byte, 8> fill_{};
};

bool is_map(const Query& query) {
  const Op& op = query.node.op;
  const auto* resize = std::get_if<op::Resize>(&op);
  const bool moves =
      is_any<op::Split, op::Slice, op::Pad, op::Transpose>(op) || (resize && resize->mode == "nearest");
  if (!moves || query.constant(0) != nullptr || query.in(0).shape.count() >= (std::int64_t{1} << 28))
    return false;
  if (resize && resize->coordinate_transformation_mode == "tf_crop_and_resize") return false;
  for (std::size_t i = 1; i < query.inputs(); ++i)
    if (query.has(i) && query.constant(i) == nullptr) return false;
  for (ValueId id : query.node.out)
    if (id == kNoValue || query.graph[id].type.quant != query.in(0).quant ||
        query.graph[id].type.dtype != query.in(0).dtype || query.graph[id].type.shape.count() == 0 ||
        query.graph[id].type.shape.count() >= (std::int64_t{1} << 28))
      return false;
  return true;
}

}  // namespace

std::span<const Tactic> movement_tactics() {
  static const Tactic list[] = {
      {"in_place", LayoutNeed::plain, keeps_bytes,
       [](const Query&) {
         return Prepared{nullptr, "in_place"};
       }},
      {"concat", LayoutNeed::any, is_concat,
       [](const Query& q) {
         return Prepared{std::make_unique<ConcatStep>(q), "concat"};
       }},
      {"move", LayoutNeed::any, is_map,
       [](const Query& q) {
         return Prepared{std::make_unique<MapStep>(q), "move"};
       }},
  };
  return list;
}

}  // namespace eke
