#include "ptq/outputs.h"

#include "runtime/session.h"

namespace eke {

void each_output(const Graph& graph, CalibrationImages& images, std::int64_t limit, const Threads& threads,
                 const TakeOutput& take, Floats floats) {
  Session session(graph, threads, {.floats = floats});
  images.each_batch(session.batch(), session.row_size(), limit, "",
                    [&](std::span<const float> values, std::span<const std::string> names) {
                      session.run_rows(values);
                      for (std::size_t i = 0; i < names.size(); ++i)
                        take(session.output_row(0, static_cast<std::int64_t>(i)), names[i]);
                    });
}

}  // namespace eke
