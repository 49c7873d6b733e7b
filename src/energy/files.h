// A meter whose every domain is computed from one or two small files: what sysfs meters have in common.
#pragma once

#include <string>
#include <vector>

#include "eke/energy.h"
#include "energy/host.h"

namespace eke::energy {

// value = first x second x scale; without a second file first x scale. 1 for files in uJ or uW; mV x mA is uW.
struct FileSource {
  std::string first, second;
  double scale = 1;
};

class FileMeter : public Meter {
 public:
  FileMeter(Host& host, std::string name, std::vector<Domain> domains, std::vector<FileSource> sources)
      : Meter(std::move(name), std::move(domains)), host_(host), sources_(std::move(sources)) {}
  void read(std::span<Reading> out) noexcept override;

 private:
  Host& host_;
  std::vector<FileSource> sources_;
};

// One reading as FileMeter makes it.
Reading read_source(Host& host, const FileSource& source) noexcept;

// A counter that shows 0 twice, ten milliseconds apart, counts nothing: hardware lists domains that it does not have.
bool counts(Host& host, const FileSource& source);

}  // namespace eke::energy
