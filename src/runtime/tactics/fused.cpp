// A block of convolutions, strip by strip: each thread takes a band of the last one's rows and goes down it a few rows
// at a time; before these, each convolution makes those of its rows that they need and that are not there yet.
#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/epilogue.h"
#include "ops/geometry.h"
#include "runtime/blocks.h"
#include "runtime/tactics/rows.h"

namespace eke {
namespace {

constexpr std::size_t kMostParts = 3;
constexpr std::size_t kResidual = 4;  // operands of a convolution

struct Rows {
  std::int64_t begin = 0, end = 0;
};

// The rows of the input that rows of the output are made from.
Rows rows_read(const Window& w, Rows rows) noexcept {
  const std::int64_t end = std::clamp<std::int64_t>(w.start(rows.end - 1) + w.reach(), 0, w.in);
  return {std::clamp<std::int64_t>(w.start(rows.begin), 0, end), end};
}

// Among as many rows of the output as there may be at once.
std::int64_t most_rows_read(const Window& w, std::int64_t rows) noexcept {
  return std::min(w.in, (rows - 1) * w.stride + w.reach());
}

std::size_t lines(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

class FusedStep : public Step {
 public:
  struct Part {
    std::unique_ptr<StripStep> step;
    Window rows;             // along the rows
    std::int64_t row_bytes;  // of the output
    std::int64_t held = 0;   // rows of the output that its buffer has room for
    std::size_t buffer = 0;  // bytes into the memory of a thread
  };

  FusedStep(std::vector<Part> parts, std::int64_t images, bool residual)
      : parts_(std::move(parts)), images_(images), residual_(residual), strip_(rows_of_a_strip()) {
    std::int64_t needed = strip_;
    for (std::size_t i = parts_.size() - 1; i > 0; --i) {
      const Window& reader = parts_[i].rows;
      const std::int64_t made = needed * reader.stride;
      needed = most_rows_read(reader, needed);
      // Where strips overlap, twice the new rows: what they share moves half as often.
      parts_[i - 1].held = std::min(reader.in, needed > made ? needed + made : needed);
    }
    for (const Part& part : parts_)
      thread_bytes_ = std::max(thread_bytes_, lines(part.step->scratch_bytes(1)));
    for (Part& part : parts_) {
      part.buffer = thread_bytes_;
      if (part.held != 0)
        thread_bytes_ += lines(static_cast<std::size_t>(part.held * part.row_bytes) + kernels::kSlackBytes);
    }
  }

  std::size_t scratch_bytes(int threads) const noexcept override {
    return static_cast<std::size_t>(threads) * thread_bytes_;
  }
  std::size_t weight_bytes() const noexcept override {
    std::size_t bytes = 0;
    for (const Part& part : parts_) bytes += part.step->weight_bytes();
    return bytes;
  }

  void run(const StepArgs& args) const noexcept override {
    const auto count = static_cast<std::size_t>(args.threads->count());
    args.threads->for_ranges(count, [&](std::size_t begin, std::size_t end) {
      for (std::size_t thread = begin; thread < end; ++thread) work(args, thread, count);
    });
  }

 private:
  // What a buffer holds: rows of one image. Row `begin` is at its front.
  using Held = std::array<Rows, kMostParts>;

  // As many rows of the result as bring about so many bytes of rows in between: they stay in the L2 cache, and weights are
  // not read more often than what they make.
  std::int64_t rows_of_a_strip() const noexcept {
    const std::int64_t wanted = std::max<std::int64_t>(128 * 1024, static_cast<std::int64_t>(weight_bytes()));
    std::int64_t bytes = 0, rows = 1;
    for (std::size_t i = parts_.size() - 1; i > 0; --i) {
      rows *= parts_[i].rows.stride;
      bytes += rows * parts_[i - 1].row_bytes;
    }
    return std::clamp<std::int64_t>(wanted / bytes, 1, parts_.back().rows.out);
  }

  void work(const StepArgs& args, std::size_t thread, std::size_t count) const noexcept {
    const std::int64_t height = parts_.back().rows.out;
    const Share rows =
        share(images_ * height, static_cast<std::int64_t>(thread), static_cast<std::int64_t>(count));
    for (std::int64_t row = rows.begin; row < rows.end;) {
      const std::int64_t image = row / height, first = row % height;
      const std::int64_t last = std::min(height, first + rows.end - row);
      band(args, args.scratch + thread * thread_bytes_, image, {first, last});
      row += last - first;
    }
  }

  void band(const StepArgs& args, std::byte* memory, std::int64_t image, Rows rows) const noexcept {
    Held held;
    for (std::int64_t row = rows.begin; row < rows.end; row += strip_) {
      std::array<Rows, kMostParts> needed;
      const std::size_t last = parts_.size() - 1;
      needed[last] = {row, std::min(row + strip_, rows.end)};
      for (std::size_t i = last; i > 0; --i) needed[i - 1] = rows_read(parts_[i].rows, needed[i]);
      for (std::size_t i = 0; i < last; ++i)
        make(args, memory, image, i, hold(memory, i, needed[i], held[i]), held);
      make(args, memory, image, last, needed[last], held);
    }
  }

  // Makes room for rows that are needed, and says which of them are missing.
  Rows hold(std::byte* memory, std::size_t i, Rows needed, Rows& held) const noexcept {
    const Part& part = parts_[i];
    const Rows missing{std::max(needed.begin, held.end), std::max(needed.end, held.end)};
    if (missing.end - held.begin > part.held) {
      std::byte* buffer = memory + part.buffer;
      if (needed.begin < held.end)
        std::memmove(buffer, buffer + (needed.begin - held.begin) * part.row_bytes,
                     static_cast<std::size_t>((held.end - needed.begin) * part.row_bytes));
      held.begin = needed.begin;
    }
    held.end = missing.end;
    return missing;
  }

  // Rows of the output of part i, from its input's rows, which are there. Steps count rows from the first image on:
  // buffers are given to them from where row 0 of that would be.
  void make(const StepArgs& args, std::byte* memory, std::int64_t image, std::size_t i, Rows rows,
            const Held& held) const noexcept {
    const Part& part = parts_[i];
    if (rows.begin >= rows.end) return;
    const auto origin = [&](std::size_t p) {
      return memory + parts_[p].buffer - (image * parts_[p].rows.out + held[p].begin) * parts_[p].row_bytes;
    };
    const bool last = i + 1 == parts_.size(), adds = last && residual_;
    const std::byte* in[kResidual + 1] = {i == 0 ? args.in[0] : origin(i - 1)};
    if (adds) in[kResidual] = args.in[1];
    std::byte* out = last ? args.out[0] : origin(i);
    StepArgs own{in, &out, adds ? kResidual + 1 : 1, memory, args.threads};
    const std::int64_t first = image * part.rows.out;
    part.step->run_rows(own, first + rows.begin, first + rows.end);
  }

  std::vector<Part> parts_;
  std::int64_t images_;
  bool residual_;
  std::int64_t strip_;  // rows of the result at a time
  std::size_t thread_bytes_ = 0;
};

FusedStep::Part part_of(const Query& query, std::unique_ptr<Step> step) {
  const Geometry geometry = window_geometry(window_attributes(std::get<op::Conv>(query.node.op)),
                                            query.in(0).shape, query.in(1).shape.dims().subspan(2));
  const auto pixel_bytes = query.out().shape[1] * static_cast<std::int64_t>(size_of(query.out().dtype));
  return {std::unique_ptr<StripStep>(static_cast<StripStep*>(step.release())), geometry.h(),
          geometry.w().out * pixel_bytes};
}

}  // namespace

Prepared prepare_fused(const std::vector<Query>& queries) {
  std::vector<FusedStep::Part> parts;
  std::string kernels;
  for (const Query& query : queries) {
    Prepared prepared = first_legal(query).prepare(query);
    kernels += (kernels.empty() ? "fused " : " + ") + prepared.tactic;
    parts.push_back(part_of(query, std::move(prepared.step)));
  }
  const Query& last = queries.back();
  return {std::make_unique<FusedStep>(std::move(parts), last.out().shape[0], last.has(kResidual)), kernels};
}

}  // namespace eke
