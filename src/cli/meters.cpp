// eke meters: what can measure energy on this machine, how well, and why the rest cannot.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/energy_report.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "energy/check.h"
#include "energy/report.h"

namespace eke::cli {

namespace {

using namespace std::chrono_literals;

constexpr int kRefreshesAWindow = 100;

struct Options {
  CommonOptions common;
  std::vector<std::string> meters;
  std::string root;
  double seconds = 1;
  bool check = false;
  int pairs = 5;
};

Json to_json(const energy::MeterReport& report) {
  Json json{{"meter", report.specification}, {"there", !report.domains.empty()}};
  if (!report.summary.empty()) json["summary"] = report.summary;
  if (!report.argument.empty()) json["argument"] = report.argument;
  if (report.domains.empty()) json["why_not"] = report.why_not;
  if (!report.note.empty()) json["note"] = report.note;
  json["domains"] = Json::array();
  for (std::size_t i = 0; i < report.domains.size(); ++i) {
    const energy::Domain& d = report.domains[i];
    const bool counter = d.quantity == energy::Quantity::energy;
    Json domain{{"name", d.name},
                {"quantity", counter ? "energy" : "power"},
                {"boundary", to_string(d.boundary)},
                {"origin", to_string(d.origin)},
                {"in_total", d.in_total},
                {"inside", d.parent >= 0 ? Json(report.domains[static_cast<std::size_t>(d.parent)].name)
                                         : Json(nullptr)},
                {counter ? "resolution_uj" : "resolution_uw", d.resolution},
                {"refresh_s", std::chrono::duration<double>(d.refresh).count()},
                {"source", d.source}};
    if (counter) domain["wrap_uj"] = d.wrap_uj;
    if (report.timing) {
      const auto& measured = report.timing->refresh[i];
      domain["measured_refresh_s"] =
          measured ? Json(std::chrono::duration<double>(*measured).count()) : Json(nullptr);
    }
    json["domains"].push_back(std::move(domain));
  }
  if (report.timing) json["read_s"] = report.timing->read_seconds;
  return json;
}

// The same arithmetic on each thread.
void spin(std::int64_t units, int threads) {
  const auto loop = [units] {
    volatile double sum = 0;
    for (std::int64_t u = 0; u < units; ++u) {
      for (int i = 1; i < 20000; ++i) sum = sum + std::sqrt(static_cast<double>(i));
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(loop);
  loop();
  for (std::thread& thread : others) thread.join();
}

struct Checked {
  std::string specification;
  energy::Additivity additivity;
  std::vector<energy::SamplerCost> costs;
};

Checked check_one(const std::string& specification, int threads, int pairs) {
  Checked checked{specification, {}, {}};
  energy::Session session(energy::open_meters({specification}));
  const double wanted_s =
      std::max(0.5, kRefreshesAWindow * std::chrono::duration<double>(session.refresh()).count());
  const auto begin = std::chrono::steady_clock::now();
  constexpr std::int64_t kTrial = 500;
  spin(kTrial, threads);
  const double unit_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / kTrial;
  const auto units = static_cast<std::int64_t>(std::ceil(wanted_s / unit_s));
  Progress progress(specification + ": windows of work", 3 * pairs * units);
  std::int64_t done = 0;
  progress.update(done);
  checked.additivity = energy::check_additivity(
      session,
      [&](std::int64_t n) {
        spin(n, threads);
        progress.update(done += n);
      },
      units, pairs);
  checked.costs = session.costs();
  return checked;
}

Json to_json(const Checked& checked) {
  const energy::Additivity& a = checked.additivity;
  Json json{{"meter", checked.specification}, {"passed", a.passed()}};
  if (!a.why_not.empty()) {
    json["why_not"] = a.why_not;
    return json;
  }
  json["ratio"] = a.ratio;
  json["low"] = a.interval.low;
  json["high"] = a.interval.high;
  json["pairs"] = a.pairs;
  json["window_s"] = a.seconds;
  for (const energy::SamplerCost& cost : checked.costs) {
    json["sampler"].push_back({{"meter", cost.meter},
                               {"cpu_share", cost.cpu_share},
                               {"read_s", cost.read_seconds},
                               {"reads", cost.reads},
                               {"period_s", std::chrono::duration<double>(cost.period).count()}});
  }
  return json;
}

std::string to_text(const Checked& checked) {
  const energy::Additivity& a = checked.additivity;
  if (!a.why_not.empty())
    return fmt::format("{}: {}: {}\n", checked.specification, paint(Colour::bad, "failed"), a.why_not);
  std::string text = fmt::format(
      "{}: {}: E(2N) / 2 E(N) = {:.4f} ({:.4f} to {:.4f}) over {} pairs of {:.2f} s\n", checked.specification,
      a.passed() ? paint(Colour::good, "passed") : paint(Colour::bad, "failed"), a.ratio, a.interval.low,
      a.interval.high, a.pairs, a.seconds);
  for (const energy::SamplerCost& cost : checked.costs) {
    text += fmt::format("  its sampler took {:.3f} % of a core, {} reads of {}\n", 100 * cost.cpu_share,
                        cost.reads, ms_text(1e3 * cost.read_seconds));
  }
  return text;
}

int meters(const Options& options) {
  energy::RealHost host(options.root);
  const bool recorded = !options.root.empty();
  if (recorded && options.check) throw UsageError("--check measures; it wants this machine, not --root");
  const auto measure =
      std::chrono::nanoseconds(static_cast<std::int64_t>(recorded ? 0 : options.seconds * 1e9));
  const std::vector<energy::MeterReport> reports = energy::report_meters(host, options.meters, measure);
  std::vector<Checked> checks;
  if (options.check) {
    for (const energy::MeterReport& report : reports) {
      if (!report.domains.empty())
        checks.push_back(check_one(report.specification, thread_count(options.common), options.pairs));
    }
  }
  bool passed = true;
  for (const Checked& checked : checks) passed = passed && checked.additivity.passed();
  if (options.common.json) {
    Json json{{"meters", Json::array()}};
    for (const energy::MeterReport& report : reports) json["meters"].push_back(to_json(report));
    for (const Checked& checked : checks) json["checks"].push_back(to_json(checked));
    print_json(json);
  } else {
    print(energy::to_text(reports));
    if (options.check) print(checks.empty() ? "\nnothing to check\n" : "\n");
    for (const Checked& checked : checks) print(to_text(checked));
  }
  return passed ? kGood : kFailed;
}

}  // namespace

void add_meters(App& app, Action& action) {
  auto options = std::make_shared<Options>();
  App* command =
      app.add_subcommand("meters", "List what can measure energy here, how well, and why the rest cannot");
  command->add_option("--meter", options->meters, "list this one too, for example shelly:192.168.1.20")
      ->type_name("METER")
      ->allow_extra_args(false);
  command->add_option("--seconds", options->seconds, "time to measure the refresh of each meter")
      ->check(between(0.0, 600.0))
      ->capture_default_str();
  command->add_flag("--check", options->check, "test that twice the work takes twice the energy");
  command->add_option("--pairs", options->pairs, "with --check: how often")
      ->check(between(2, 1000))
      ->capture_default_str();
  command
      ->add_option("--root", options->root,
                   "list what a recorded tree of /sys and /proc below this folder has")
      ->type_name("FOLDER");
  declare_common(*command, options->common);
  command->footer(
      "Examples:\n"
      "  eke meters\n"
      "  eke meters --check --json\n"
      "  eke meters --meter shelly:192.168.1.20 --meter line:/dev/ttyACM0@115200");
  command->callback([options, &action] { action = [options] { return meters(*options); }; });
}

}  // namespace eke::cli
