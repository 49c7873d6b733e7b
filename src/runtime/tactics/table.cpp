#include "runtime/tactics/table.h"

#include <memory>

#include "kernels/eltwise/registry.h"
#include "ops/quantized.h"
#include "runtime/tactics/spread.h"

namespace eke {
namespace {

class TableStep : public Step {
 public:
  TableStep(const Query& query, const Table& table, std::size_t data)
      : table_(table),
        data_(data),
        count_(static_cast<std::size_t>(query.out().shape.count())),
        kernel_(kernels::select_lut(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto* in = reinterpret_cast<const std::uint8_t*>(args.in[data_]);
    auto* out = reinterpret_cast<std::uint8_t*>(args.out[0]);
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({in + first, out + first, count, table_.data()});
    });
  }

 private:
  Table table_;
  std::size_t data_, count_;
  kernels::LutFn kernel_;
};

Tensor all_bytes(const QParams& params) {
  Tensor bytes(Type{DType::u8, {256}, params});
  auto values = bytes.mutable_values<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i);
  return bytes;
}

}  // namespace

bool is_stored_u8(const Type& type) noexcept {
  return type.dtype == DType::u8 && type.quant && type.quant->per_tensor();
}

Table make_table(const Query& query, std::size_t data) {
  const Tensor bytes = all_bytes(*query.in(data).quant);
  std::vector<Tensor> constants(query.inputs());
  std::vector<TensorView> in(query.inputs());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (i == data)
      in[i] = bytes.view();
    else if (query.has(i))
      in[i] = (constants[i] = query.constant(i)->reshaped({})).view();
  }
  Tensor result(Type{DType::u8, {256}, query.out().quant});
  const MutTensorView out = result.mutable_view();
  def(query.node.op).eval(query.node.op, in, {&out, 1});
  Table table;
  const auto values = result.values<std::uint8_t>();
  std::copy(values.begin(), values.end(), table.begin());
  return table;
}

Table requantize_table(const Type& from, const Type& to) {
  Table table;
  for (int byte = 0; byte < 256; ++byte) {
    const int q = from.dtype == DType::i8 ? static_cast<std::int8_t>(byte) : byte;
    const float real = quantized::dequantize(q, quantized::params(from));
    const std::int32_t stored =
        quantized::quantize(real, quantized::params(to), quantized::bounds_of(to.dtype));
    table[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>(stored);
  }
  return table;
}

Prepared prepare_table(const Query& query) { return table_step(query, make_table(query)); }

Prepared table_step(const Query& query, const Table& table, std::size_t data) {
  return {std::make_unique<TableStep>(query, table, data), "table_u8"};
}

}  // namespace eke
