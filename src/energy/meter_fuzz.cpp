// All that meters parse, on arbitrary bytes: a figure that is consistent, none, or an Error.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "energy/estimate.h"
#include "energy/host.h"
#include "energy/line.h"
#include "energy/net.h"
#include "energy/plug.h"
#include "energy/pmic.h"
#include "energy/trace.h"

namespace {

using namespace eke::energy;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_plug(const PlugStatus& status) {
  require(!status.watts || std::isfinite(*status.watts));
  require(!status.joules || std::isfinite(*status.joules));
}

void check_trace(std::string_view text) {
  const Trace trace = parse_trace(text);
  require(trace.times.size() >= 2 && trace.values.size() == trace.names.size());
  for (const auto& column : trace.values) require(column.size() == trace.times.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_plug(parse_shelly_gen1(text));
  check_plug(parse_shelly_gen2(text));
  check_plug(parse_tasmota(text));
  for (const PmicRail& rail : parse_pmic(text)) require(std::isfinite(rail.volts * rail.amperes));
  parse_line(text);
  parse_integer(text);
  busy_seconds(text, 100);
  const HttpAnswer answer = parse_http(text);
  require(answer.status == 0 || answer.body.size() <= size);
  try {
    check_trace(text);
  } catch (const eke::Error&) {
  }
  try {
    parse_profile(text);
  } catch (const eke::Error&) {
  }
  try {
    parse_address(text, "80");
  } catch (const eke::Error&) {
  }
  return 0;
}
