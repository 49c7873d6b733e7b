// Measures the joules of a loop with whatever meter this machine has: energy_example [METER]
// METER is as in eke meters, for example rapl, shelly:192.168.1.20 or trace:recording.csv; "auto" without it.
#include <eke/energy.h>

#include <cmath>
#include <cstdio>
#include <exception>

namespace {

double work() {
  double sum = 0;
  for (int i = 1; i < 20'000'000; ++i) sum += std::sqrt(i);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string why_not;
    eke::energy::Session session(eke::energy::open_meters({argc > 1 ? argv[1] : "auto"}, &why_not));
    if (session.empty()) {
      std::printf("no meter:\n%s", why_not.c_str());
      return 0;
    }
    eke::energy::Window window = session.begin("work");
    const double sum = work();
    const eke::energy::WindowResult result = window.result();
    std::printf("the sum is %g, in %.3f s\n", sum, result.seconds);
    for (const eke::energy::DomainEnergy& d : result.domains) {
      if (d.joules) {
        std::printf("%s: %.3f J +- %.3f J (%s, %s)\n", d.domain.name.c_str(), *d.joules, d.bound_j,
                    std::string(to_string(d.domain.boundary)).c_str(),
                    std::string(to_string(d.domain.origin)).c_str());
      } else {
        std::printf("%s: not measured: %s\n", d.domain.name.c_str(), d.why_not.c_str());
      }
    }
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
}
