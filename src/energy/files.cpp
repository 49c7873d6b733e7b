#include "energy/files.h"

#include <cmath>

namespace eke::energy {

namespace {

constexpr double kLargest = 9e18;

// The number in a file, or a fault.
double number(Host& host, const std::string& path, Fault& fault) {
  const FileText file = host.read(path);
  if (!file.good()) {
    fault = fault_of(file.error);
    return 0;
  }
  const std::optional<std::int64_t> value = parse_integer(file.text);
  if (!value) fault = Fault::garbage;
  return value ? static_cast<double>(*value) : 0;
}

}  // namespace

Reading read_source(Host& host, const FileSource& source) noexcept {
  Reading reading;
  reading.begin = host.now();
  try {
    double value = number(host, source.first, reading.fault) * source.scale;
    if (!source.second.empty()) value *= number(host, source.second, reading.fault);
    if (std::abs(value) > kLargest) {
      reading.fault = Fault::garbage;
    } else {
      reading.value = std::llround(value);
    }
  } catch (const std::exception&) {
    reading.fault = Fault::io_error;
  }
  reading.end = host.now();
  return reading;
}

void FileMeter::read(std::span<Reading> out) noexcept {
  for (std::size_t i = 0; i < sources_.size(); ++i) out[i] = read_source(host_, sources_[i]);
}

bool counts(Host& host, const FileSource& source) {
  const Reading first = read_source(host, source);
  if (first.fault != Fault::none || first.value != 0) return true;
  host.sleep(std::chrono::milliseconds(10));
  return read_source(host, source).value != 0;
}

}  // namespace eke::energy
