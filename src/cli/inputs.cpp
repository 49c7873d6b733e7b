#include "cli/inputs.h"

#include <algorithm>

#include "cli/progress.h"

namespace eke::cli {

void for_each_row(std::span<Session* const> sessions, const RowSource& source, const std::string& label,
                  const std::function<void(const RowDone&)>& take) {
  const Session& first = *sessions[0];
  for (const Session* session : sessions) {
    check(session->batch() == first.batch() && session->row_size() == first.row_size(),
          "the models take inputs of different size: {} x {} and {} x {} numbers", first.batch(),
          first.row_size(), session->batch(), session->row_size());
  }
  const std::int64_t batch = first.batch(), count = source.count();
  const auto row_size = static_cast<std::size_t>(first.row_size());
  // Enough rows at a time to keep all threads decoding, in whole batches.
  const std::int64_t wanted = std::max<std::int64_t>(batch, 4 * first.threads().count());
  const std::int64_t chunk = (wanted + batch - 1) / batch * batch;
  std::vector<float> rows(row_size * static_cast<std::size_t>(std::min(chunk, count)));
  const auto part = [&](std::int64_t at, std::int64_t size) {
    return std::span(rows).subspan(static_cast<std::size_t>(at) * row_size,
                                   static_cast<std::size_t>(size) * row_size);
  };
  Progress progress(label, count);
  for (std::int64_t begin = 0; begin < count; begin += chunk) {
    const std::int64_t in_chunk = std::min(chunk, count - begin);
    source.read(begin, begin + in_chunk, part(0, in_chunk));
    for (std::int64_t at = 0; at < in_chunk; at += batch) {
      const std::int64_t in_batch = std::min(batch, in_chunk - at);
      for (Session* session : sessions) session->run_rows(part(at, in_batch));
      for (std::int64_t i = 0; i < in_batch; ++i) take({begin + at + i, i});
      progress.update(begin + at + in_batch);
    }
  }
}

}  // namespace eke::cli
