#include "report/runs.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "report/overview.h"
#include "report/sections.h"

namespace eke::report {

namespace {

using Parts = RunParts (*)(const RunJson&);
struct Command {
  const char* name;
  Parts parts;
};
constexpr Command kCommands[] = {{"bench", parts_of_bench},       {"eval", parts_of_eval},
                                 {"quantize", parts_of_quantize}, {"diff", parts_of_diff},
                                 {"failed", parts_of_failed},     {"info", parts_of_info},
                                 {"explain", parts_of_explain},   {"conclusions", parts_of_conclusions},
                                 {"new", parts_of_new},           {"train", parts_of_train}};

// The name that a merge of studies gave it, or its processor.
std::string device_of(const RunJson& json) {
  if (const RunJson* device = find(json, "device"); device && device->is_string())
    return device->get<std::string>();
  const RunJson* machine = find(json, "machine");
  const RunJson* processor = machine ? find(*machine, "processor") : nullptr;
  return processor && processor->is_string() ? processor->get<std::string>() : "";
}

RunParts parts_of_command(const RunJson& json) {
  const std::string command = text(json, "command");
  for (const Command& known : kCommands)
    if (command == known.name) return known.parts(json);
  return parts_of_other(json);
}

RunParts parts_of(const Run& run) {
  return with_context([&] { return "'" + run.path + "'"; },
                      [&] {
                        RunParts parts = parts_of_command(run.json);
                        for (Outcome& outcome : parts.outcomes) outcome.device = device_of(run.json);
                        const RunJson* network = find(run.json, "network");
                        if (network && network->is_string() && !parts.section.title.empty() &&
                            parts.section.title.find(network->get<std::string>()) == std::string::npos)
                          parts.section.title = network->get<std::string>() + ": " + parts.section.title;
                        for (Verdict& verdict : parts.verdicts)
                          if (network && network->is_string() && verdict.subject.empty())
                            verdict.subject = network->get<std::string>();
                        return parts;
                      });
}

bool any_benched(const std::vector<Run>& runs) {
  return std::ranges::any_of(runs, [](const Run& run) { return run.json["command"] == "bench"; });
}

// The short timing of eke quantize counts where nothing was benchmarked.
void add_outcomes(Known& known, const Run& run, const RunParts& parts, bool benched) {
  for (Outcome outcome : parts.outcomes) {
    if (benched && run.json["command"] == "quantize") outcome.latency.reset();
    known.add(outcome);
  }
}

Section provenance(const std::vector<Run>& runs) {
  Section section{"How this was measured"};
  Table commands{"commands, which repeat it", {"result", "command", "eke", "time"}, {}};
  // What is the same for many results stands once.
  std::map<std::string, std::int64_t> machines;
  std::map<std::string, RunJson> values;
  const auto word = [](const RunJson& json, const char* key) {
    const RunJson* value = find(json, key);
    return !value               ? std::string("not recorded")
           : value->is_string() ? value->get<std::string>()
                                : value->dump();
  };
  for (const Run& run : runs) {
    if (run.json["command"] == "conclusions") continue;
    std::string line = "eke";
    if (const RunJson* arguments = find(run.json, "arguments"); arguments && arguments->is_array()) {
      for (const RunJson& argument : *arguments)
        line += fmt::format(" {}", argument.is_string() ? argument.get<std::string>() : argument.dump());
    } else {
      line += fmt::format(" {}", text(run.json, "command"));
    }
    commands.rows.push_back({run.path, line, word(run.json, "eke"), word(run.json, "time")});
    const RunJson* machine = find(run.json, "machine");
    if (!machine || !machine->is_object()) continue;
    ++machines[machine->dump()];
    values.emplace(machine->dump(), *machine);
  }
  for (const auto& [key, machine] : values) {
    Table table{fmt::format("the machine of {} of these results", machines[key]), {"what", "value"}, {}};
    for (const auto& [what, value] : machine.items())
      table.rows.push_back({what, value.is_string() ? value.get<std::string>() : value.dump()});
    section.tables.push_back(std::move(table));
  }
  section.tables.push_back(std::move(commands));
  return section;
}

}  // namespace

Run parse_run(const std::string& path, const std::string& bytes) {
  Run run{path, RunJson::parse(bytes, nullptr, false)};
  check(!run.json.is_discarded(), "'{}' is no JSON: give what a command printed with --json", path);
  check(run.json.is_object() && find(run.json, "command") && run.json["command"].is_string(),
        "'{}' names no command: give what bench, eval, quantize, diff or info printed with --json", path);
  return run;
}

std::vector<Run> runs_of(const std::string& path, const std::string& bytes) {
  Run run = parse_run(path, bytes);
  if (run.json["command"] != "study") return {std::move(run)};
  std::vector<Run> runs;
  with_context([&] { return "'" + path + "'"; },
               [&] {
                 for (const RunJson& cell : array(run.json, "cells")) {
                   static_cast<void>(text(cell, "command"));
                   runs.push_back({text(cell, "cell"), cell});
                 }
               });
  return runs;
}

Verdict choice_of(const std::vector<Run>& runs, const std::vector<std::string>& variants,
                  const study::Limits& limits) {
  Known known;
  const bool benched = any_benched(runs);
  for (const Run& run : runs) add_outcomes(known, run, parts_of(run), benched);
  return choice_of(known, variants, limits);
}

Document document_of(const std::string& title, const std::vector<Run>& runs) {
  Document document{title, {}, {}};
  Known known;
  const bool benched = any_benched(runs);
  std::vector<Section> sections;
  for (const Run& run : runs) {
    RunParts parts = parts_of(run);
    add_outcomes(known, run, parts, benched);
    if (!parts.section.title.empty()) sections.push_back(std::move(parts.section));
    document.verdicts.insert(document.verdicts.end(), parts.verdicts.begin(), parts.verdicts.end());
  }
  if (std::optional<Section> all = overview(known)) {
    document.sections.push_back(std::move(*all));
    std::erase_if(document.verdicts, [](const Verdict& verdict) { return verdict.in_table; });
  }
  for (Section& section : trade_offs(known)) document.sections.push_back(std::move(section));
  std::ranges::move(sections, std::back_inserter(document.sections));
  document.sections.push_back(provenance(runs));
  check_document(document);
  return document;
}

}  // namespace eke::report
