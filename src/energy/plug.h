// What plugs with a web interface answer. Every figure may be missing; none is ever taken from garbage.
#pragma once

#include <optional>
#include <string_view>

namespace eke::energy {

struct PlugStatus {
  std::optional<double> watts, joules;
};

PlugStatus parse_shelly_gen1(std::string_view json);  // GET /status: power in W, total in watt-minutes
PlugStatus parse_shelly_gen2(
    std::string_view json);  // GET /rpc/Switch.GetStatus?id=0: apower in W, aenergy in Wh
PlugStatus parse_tasmota(std::string_view json);  // GET /cm?cmnd=Status%208: Power in W, Total in kWh

}  // namespace eke::energy
