// Normalization by batch statistics, its gradient, masks, sums over pixels, updates: float32, channels innermost.
// Sums over rows are taken in chunks whose size depends on the shape alone, and joined in order in double, so that no
// bit depends on the number of threads.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "kernels/training/registry.h"
#include "runtime/tactic.h"
#include "runtime/tactics/rows.h"
#include "runtime/tactics/spread.h"

namespace eke {
namespace {

constexpr std::int64_t kLanes = 16;

std::int64_t padded(std::int64_t channels) {
  return (channels + kLanes - 1) / kLanes * kLanes + kernels::kChannelSlack;
}

const float* floats(const StepArgs& args, std::size_t i) noexcept {
  return reinterpret_cast<const float*>(args.in[i]);
}
float* floats_out(const StepArgs& args, std::size_t i) noexcept {
  return reinterpret_cast<float*>(args.out[i]);
}

// A tensor as rows of channels, cut into chunks.
struct Rows {
  Rows() = default;
  explicit Rows(const Shape& x)
      : rows(x[0] * x.count(2, x.rank())),
        channels(x[1]),
        per_chunk(std::max<std::int64_t>(64, (rows + 63) / 64 + 3) / 4 * 4),
        chunks((rows + per_chunk - 1) / per_chunk) {}

  // Calls f(chunk, first row, rows) for each chunk, split over threads.
  template <class F>
  void for_chunks(const Threads& threads, F&& f) const noexcept {
    threads.for_ranges(static_cast<std::size_t>(chunks), [&](std::size_t begin, std::size_t end) {
      for (auto chunk = static_cast<std::int64_t>(begin); chunk < static_cast<std::int64_t>(end); ++chunk)
        f(chunk, chunk * per_chunk, std::min(per_chunk, rows - chunk * per_chunk));
    });
  }

  // The same from the last chunk to the first: what a pass before it has read last is still in a cache.
  template <class F>
  void for_chunks_backwards(const Threads& threads, F&& f) const noexcept {
    threads.for_ranges(static_cast<std::size_t>(chunks), [&](std::size_t begin, std::size_t end) {
      for (auto chunk = static_cast<std::int64_t>(end) - 1; chunk >= static_cast<std::int64_t>(begin);
           --chunk)
        f(chunk * per_chunk, std::min(per_chunk, rows - chunk * per_chunk));
    });
  }

  std::int64_t rows = 0, channels = 0, per_chunk = 4, chunks = 0;
};

bool is_float(const Type& type) { return type.dtype == DType::f32 && !type.quant; }

// [N, C, H, W] or [N, C].
bool has_rows(const Type& type) {
  return is_float(type) && (type.shape.rank() == 4 || type.shape.rank() == 2) && type.shape.count() > 0 &&
         type.shape[1] < (1 << 28);
}

// Two sums for each chunk and channel, in scratch, and their totals.
class PartialSums {
 public:
  explicit PartialSums(const Rows& rows)
      : channels_(rows.channels), stride_(padded(rows.channels)), chunks_(rows.chunks) {}

  std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(2 * stride_ * chunks_) * sizeof(float);
  }
  float* at(std::byte* scratch, std::int64_t chunk, int which) const noexcept {
    return reinterpret_cast<float*>(scratch) + (chunk * 2 + which) * stride_;
  }
  // Calls f(channel, first total, second total).
  template <class F>
  void totals(std::byte* scratch, F&& f) const noexcept {
    for (std::int64_t c = 0; c < channels_; ++c) {
      double first = 0, second = 0;
      for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
        first += static_cast<double>(at(scratch, chunk, 0)[c]);
        second += static_cast<double>(at(scratch, chunk, 1)[c]);
      }
      f(c, first, second);
    }
  }

 private:
  std::int64_t channels_, stride_, chunks_;
};

class StatisticsStep : public Step {
 public:
  explicit StatisticsStep(const Query& query)
      : rows_(query.in(0).shape), sums_(rows_), kernel_(kernels::select_channel_sums(query.isa)) {}

  std::size_t scratch_bytes(int) const noexcept override { return sums_.bytes(); }

  void run(const StepArgs& args) const noexcept override {
    const float* x = floats(args, 0);
    rows_.for_chunks(*args.threads, [&](std::int64_t chunk, std::int64_t first, std::int64_t count) {
      // The first pixel is as good a guess of the mean as any.
      kernel_({x + first * rows_.channels, count, static_cast<int>(rows_.channels), x,
               sums_.at(args.scratch, chunk, 0), sums_.at(args.scratch, chunk, 1)});
    });
    const auto count = static_cast<double>(rows_.rows);
    sums_.totals(args.scratch, [&](std::int64_t c, double sum, double square) {
      const double offset = sum / count;
      if (args.out[0]) floats_out(args, 0)[c] = static_cast<float>(static_cast<double>(x[c]) + offset);
      if (args.out[1])
        floats_out(args, 1)[c] = static_cast<float>(std::max(0.0, square / count - offset * offset));
    });
  }

 private:
  Rows rows_;
  PartialSums sums_;
  kernels::ChannelSumsFn kernel_;
};

// The parameters of a normalization as kernels read them, in scratch.
class NormScratch {
 public:
  NormScratch(std::int64_t channels, float epsilon, const op::Clamp& clamp)
      : channels_(channels), stride_(padded(channels)), epsilon_(epsilon), clamp_(clamp) {}

  std::size_t bytes() const noexcept { return static_cast<std::size_t>(3 * stride_) * sizeof(float); }
  double inverse(float variance) const noexcept {
    return 1 / std::sqrt(static_cast<double>(variance) + static_cast<double>(epsilon_));
  }
  kernels::NormParameters fill(std::byte* scratch, const float* scale, const float* shift, const float* mean,
                               const float* variance) const noexcept {
    float* at = reinterpret_cast<float*>(scratch);
    for (std::int64_t c = 0; c < channels_; ++c) {
      at[c] = mean[c];
      at[stride_ + c] = static_cast<float>(static_cast<double>(scale[c]) * inverse(variance[c]));
      at[2 * stride_ + c] = shift[c];
    }
    return {at, at + stride_, at + 2 * stride_, clamp_.lo, clamp_.hi};
  }

 private:
  std::int64_t channels_, stride_;
  float epsilon_;
  op::Clamp clamp_;
};

class NormStep : public Step {
 public:
  explicit NormStep(const Query& query)
      : rows_(query.in(0).shape),
        norm_(rows_.channels, std::get<op::BatchNormalization>(query.node.op).epsilon,
              std::get<op::BatchNormalization>(query.node.op).clamp),
        kernel_(kernels::select_batch_norm(query.isa)) {}

  std::size_t scratch_bytes(int) const noexcept override { return norm_.bytes(); }

  void run(const StepArgs& args) const noexcept override {
    const kernels::NormParameters norm =
        norm_.fill(args.scratch, floats(args, 1), floats(args, 2), floats(args, 3), floats(args, 4));
    rows_.for_chunks(*args.threads, [&](std::int64_t, std::int64_t first, std::int64_t count) {
      kernel_({floats(args, 0) + first * rows_.channels, floats_out(args, 0) + first * rows_.channels, count,
               static_cast<int>(rows_.channels), norm});
    });
  }

 private:
  Rows rows_;
  NormScratch norm_;
  kernels::BatchNormFn kernel_;
};

class NormGradStep : public Step {
 public:
  explicit NormGradStep(const Query& query)
      : rows_(query.in(1).shape),
        sums_(rows_),
        norm_(rows_.channels, op_of(query).epsilon, op_of(query).clamp),
        training_(op_of(query).training_mode != 0),
        sums_kernel_(kernels::select_batch_norm_sums(query.isa)),
        kernel_(kernels::select_batch_norm_grad(query.isa)) {}

  std::size_t scratch_bytes(int) const noexcept override {
    return sums_.bytes() + norm_.bytes() + 2 * line() * sizeof(float);
  }

  void run(const StepArgs& args) const noexcept override {
    std::byte* partial = args.scratch + norm_.bytes();
    auto* offset = reinterpret_cast<float*>(partial + sums_.bytes());
    float* slope = offset + line();
    const kernels::NormParameters norm =
        norm_.fill(args.scratch, floats(args, 2), floats(args, 3), floats(args, 4), floats(args, 5));
    const int channels = static_cast<int>(rows_.channels);
    rows_.for_chunks(*args.threads, [&](std::int64_t chunk, std::int64_t first, std::int64_t count) {
      const std::int64_t at = first * rows_.channels;
      sums_kernel_({floats(args, 0) + at, floats(args, 1) + at, count, channels, norm,
                    sums_.at(partial, chunk, 0), sums_.at(partial, chunk, 1)});
    });
    const double share = training_ ? 1 / static_cast<double>(rows_.rows) : 0;
    sums_.totals(partial, [&](std::int64_t c, double sum, double product) {
      const double inverse = norm_.inverse(floats(args, 5)[c]);
      if (args.out[1]) floats_out(args, 1)[c] = static_cast<float>(product * inverse);
      if (args.out[2]) floats_out(args, 2)[c] = static_cast<float>(sum);
      offset[c] = static_cast<float>(sum * share);
      slope[c] = static_cast<float>(product * inverse * inverse * share);
    });
    if (!args.out[0]) return;
    rows_.for_chunks_backwards(*args.threads, [&](std::int64_t first, std::int64_t count) {
      const std::int64_t at = first * rows_.channels;
      kernel_({floats(args, 0) + at, floats(args, 1) + at, floats_out(args, 0) + at, count, channels, norm,
               offset, slope});
    });
  }

 private:
  static const op::BatchNormalizationGrad& op_of(const Query& query) {
    return std::get<op::BatchNormalizationGrad>(query.node.op);
  }
  std::size_t line() const noexcept { return static_cast<std::size_t>(padded(rows_.channels)); }

  Rows rows_;
  PartialSums sums_;
  NormScratch norm_;
  bool training_;
  kernels::BatchNormSumsFn sums_kernel_;
  kernels::BatchNormGradFn kernel_;
};

// The sum over all but the channels.
class ChannelSumStep : public Step {
 public:
  explicit ChannelSumStep(const Query& query)
      : rows_(query.in(0).shape),
        sums_(rows_),
        zeros_(static_cast<std::size_t>(padded(rows_.channels))),
        kernel_(kernels::select_channel_sums(query.isa)) {}

  std::size_t scratch_bytes(int) const noexcept override { return sums_.bytes(); }

  void run(const StepArgs& args) const noexcept override {
    rows_.for_chunks(*args.threads, [&](std::int64_t chunk, std::int64_t first, std::int64_t count) {
      kernel_({floats(args, 0) + first * rows_.channels, count, static_cast<int>(rows_.channels),
               zeros_.data(), sums_.at(args.scratch, chunk, 0), sums_.at(args.scratch, chunk, 1)});
    });
    sums_.totals(args.scratch, [&](std::int64_t c, double sum, double) {
      floats_out(args, 0)[c] = static_cast<float>(sum);
    });
  }

 private:
  Rows rows_;
  PartialSums sums_;
  std::vector<float> zeros_;
  kernels::ChannelSumsFn kernel_;
};

bool is_channel_sum(const Query& query) {
  const auto& reduce = std::get<op::Reduce>(query.node.op);
  const Type& x = query.in(0);
  if (reduce.fn != op::ReduceFn::ReduceSum || !has_rows(x) || !is_float(query.out()) ||
      query.constant(1) == nullptr)
    return false;
  if (query.out().shape.rank() == 4 ? query.out().shape.count() != x.shape[1]
                                    : query.out().shape != Shape{x.shape[1]})
    return false;
  std::vector<std::int64_t> axes = as_ints(*query.constant(1));
  for (std::int64_t& axis : axes)
    if (axis < 0) axis += x.shape.rank();
  std::ranges::sort(axes);
  return axes == (x.shape.rank() == 4 ? std::vector<std::int64_t>{0, 2, 3} : std::vector<std::int64_t>{0});
}

class ClampGradStep : public Step {
 public:
  explicit ClampGradStep(const Query& query)
      : count_(static_cast<std::size_t>(query.out().shape.count())),
        clamp_(std::get<op::ClampGrad>(query.node.op).clamp),
        kernel_(kernels::select_clamp_grad(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({floats(args, 0) + first, floats(args, 1) + first, floats_out(args, 0) + first, count,
               clamp_.lo, clamp_.hi});
    });
  }

 private:
  std::size_t count_;
  op::Clamp clamp_;
  kernels::ClampGradFn kernel_;
};

class AverageStep : public Step {
 public:
  explicit AverageStep(const Query& query)
      : count_(static_cast<std::size_t>(query.out().shape.count())),
        momentum_(std::get<op::MovingAverage>(query.node.op).momentum),
        kernel_(kernels::select_average(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_(
          {floats(args, 0) + first, floats(args, 1) + first, floats_out(args, 0) + first, count, momentum_});
    });
  }

 private:
  std::size_t count_;
  float momentum_;
  kernels::AverageFn kernel_;
};

float rate_of(const StepArgs& args) noexcept { return *floats(args, 0); }
std::int64_t step_of(const StepArgs& args) noexcept {
  return *reinterpret_cast<const std::int64_t*>(args.in[1]);
}

class MomentumStep : public Step {
 public:
  explicit MomentumStep(const Query& query)
      : count_(static_cast<std::size_t>(query.in(2).shape.count())),
        op_(std::get<op::Momentum>(query.node.op)),
        kernel_(kernels::select_momentum(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const float beta = step_of(args) > 0 ? op_.beta : 1;
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({floats(args, 2) + first, floats(args, 3) + first, floats(args, 4) + first,
               floats_out(args, 0) + first, floats_out(args, 1) + first, count, rate_of(args), op_.alpha,
               beta, op_.norm_coefficient, op_.mode == "nesterov"});
    });
  }

 private:
  std::size_t count_;
  op::Momentum op_;
  kernels::MomentumFn kernel_;
};

struct AdamParameters {
  float alpha, beta, epsilon, decay = 0, decay_apart = 0, decay_post = 0;
};

AdamParameters parameters_of(const Op& op) {
  if (const auto* adam = std::get_if<op::Adam>(&op))
    return {adam->alpha, adam->beta, adam->epsilon, adam->norm_coefficient, 0, adam->norm_coefficient_post};
  const auto& adamw = std::get<op::AdamW>(op);
  return {adamw.alpha, adamw.beta, adamw.epsilon, 0, adamw.weight_decay, 0};
}

class AdamStep : public Step {
 public:
  explicit AdamStep(const Query& query)
      : count_(static_cast<std::size_t>(query.in(2).shape.count())),
        p_(parameters_of(query.node.op)),
        kernel_(kernels::select_adam(query.isa)) {}

  void run(const StepArgs& args) const noexcept override {
    const auto step = static_cast<double>(step_of(args));
    const auto rate = static_cast<double>(rate_of(args));
    // Both averages start at zero; the rate makes up for it.
    const double unbiased = step > 0 ? rate * std::sqrt(1 - std::pow(static_cast<double>(p_.beta), step)) /
                                           (1 - std::pow(static_cast<double>(p_.alpha), step))
                                     : rate;
    spread(*args.threads, count_, [&](std::size_t first, std::size_t count) {
      kernel_({floats(args, 2) + first, floats(args, 3) + first, floats(args, 4) + first,
               floats(args, 5) + first, floats_out(args, 0) + first, floats_out(args, 1) + first,
               floats_out(args, 2) + first, count, static_cast<float>(unbiased), p_.alpha, p_.beta,
               p_.epsilon, p_.decay, 1 - static_cast<float>(rate) * p_.decay_apart, 1 - p_.decay_post});
    });
  }

 private:
  std::size_t count_;
  AdamParameters p_;
  kernels::AdamFn kernel_;
};

// One float tensor with all its outputs.
bool is_single_update(const Query& query, std::size_t states) {
  if (query.inputs() != 4 + states || query.node.out.size() != 1 + states) return false;
  if (!is_float(query.in(0)) || !is_float(query.in(2))) return false;
  return std::ranges::none_of(query.node.out, [](ValueId id) { return id == kNoValue; });
}

template <class S>
Prepared prepared(const Query& query, std::string name, std::vector<Prepared::InPlace> in_place = {}) {
  return {std::make_unique<S>(query), std::move(name), {}, std::move(in_place)};
}

bool float_inputs(const Query& query) {
  for (std::size_t i = 0; i < query.inputs(); ++i)
    if (!query.has(i) || !is_float(query.in(i))) return false;
  return true;
}

}  // namespace

std::span<const Tactic> statistics_tactics() {
  static const Tactic list[] = {
      {"batch_statistics_f32", LayoutNeed::nhwc,
       [](const Query& q) { return has_rows(q.in(0)) && q.node.out.size() == 2; },
       [](const Query& q) { return prepared<StatisticsStep>(q, "batch_statistics_f32"); }}};
  return list;
}

std::span<const Tactic> batch_norm_tactics() {
  static const Tactic list[] = {{"batch_norm_f32", LayoutNeed::nhwc,
                                 [](const Query& q) {
                                   return has_rows(q.in(0)) && float_inputs(q) && q.node.out.size() == 1 &&
                                          std::get<op::BatchNormalization>(q.node.op).training_mode == 0;
                                 },
                                 [](const Query& q) {
                                   return prepared<NormStep>(q, "batch_norm_f32", {{0, 0}});
                                 }}};
  return list;
}

std::span<const Tactic> batch_norm_grad_tactics() {
  static const Tactic list[] = {
      {"batch_norm_grad_f32", LayoutNeed::nhwc,
       [](const Query& q) { return has_rows(q.in(0)) && float_inputs(q) && q.node.out.size() == 3; },
       [](const Query& q) {
         return prepared<NormGradStep>(q, "batch_norm_grad_f32", {{0, 0}, {0, 1}});
       }}};
  return list;
}

std::span<const Tactic> channel_sum_tactics() {
  static const Tactic list[] = {{"channel_sum_f32", LayoutNeed::nhwc, is_channel_sum, [](const Query& q) {
                                   return prepared<ChannelSumStep>(q, "channel_sum_f32");
                                 }}};
  return list;
}

std::span<const Tactic> clamp_grad_tactics() {
  static const Tactic list[] = {{"clamp_grad_f32", LayoutNeed::any,
                                 [](const Query& q) {
                                   return q.inputs() == 2 && float_inputs(q) && q.constant(0) == nullptr &&
                                          q.constant(1) == nullptr;
                                 },
                                 [](const Query& q) {
                                   return prepared<ClampGradStep>(q, "clamp_grad_f32", {{0, 0}, {0, 1}});
                                 }}};
  return list;
}

std::span<const Tactic> average_tactics() {
  static const Tactic list[] = {
      {"average_f32", LayoutNeed::any,
       [](const Query& q) { return float_inputs(q) && q.constant(0) == nullptr && q.constant(1) == nullptr; },
       [](const Query& q) {
         return prepared<AverageStep>(q, "average_f32", {{0, 0}, {0, 1}});
       }}};
  return list;
}

std::span<const Tactic> momentum_tactics() {
  static const Tactic list[] = {{"momentum_f32", LayoutNeed::any,
                                 [](const Query& q) { return is_single_update(q, 1); },
                                 [](const Query& q) {
                                   return prepared<MomentumStep>(q, "momentum_f32", {{0, 2}, {1, 4}});
                                 }}};
  return list;
}

std::span<const Tactic> adam_tactics() {
  static const Tactic list[] = {{"adam_f32", LayoutNeed::any,
                                 [](const Query& q) { return is_single_update(q, 2); },
                                 [](const Query& q) {
                                   return prepared<AdamStep>(q, "adam_f32", {{0, 2}, {1, 4}, {2, 5}});
                                 }}};
  return list;
}

}  // namespace eke
