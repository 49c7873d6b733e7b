// Results come from other people's machines: no bytes may do more than be refused.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "report/runs.h"
#include "report/writers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace eke::report;
  try {
    const Document document =
        document_of("results", runs_of("x.json", std::string(reinterpret_cast<const char*>(data), size)));
    to_html(document);
    to_markdown(document);
    to_csv(document);
    to_summary(document);
    for (const Section& section : document.sections)
      for (const Chart& chart : section.charts) to_svg(chart);
  } catch (const eke::Error&) {
  }
  return 0;
}
