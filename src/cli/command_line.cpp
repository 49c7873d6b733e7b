#include "cli/command_line.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace eke::cli {

Rule::Rule(const CLI::Validator& validator) : validator_(std::make_shared<CLI::Validator>(validator)) {}

Rule between(int first, int last) { return Rule(CLI::Range(first, last)); }
Rule between(std::int64_t first, std::int64_t last) { return Rule(CLI::Range(first, last)); }
Rule between(double first, double last) { return Rule(CLI::Range(first, last)); }
Rule not_negative() { return Rule(CLI::NonNegativeNumber); }
Rule positive() { return Rule(CLI::PositiveNumber); }
Rule one_of(std::vector<std::string> words) { return Rule(CLI::IsMember(std::move(words))); }

Option* Option::required() {
  option_->required();
  return this;
}

Option* Option::check(const Rule& rule) {
  option_->check(rule.validator());
  return this;
}

Option* Option::type_name(const std::string& name) {
  option_->type_name(name);
  return this;
}

Option* Option::group(const std::string& heading) {
  option_->group(heading);
  return this;
}

Option* Option::capture_default_str() {
  option_->capture_default_str();
  return this;
}

Option* Option::delimiter(char separator) {
  option_->delimiter(separator);
  return this;
}

Option* Option::allow_extra_args(bool allow) {
  option_->allow_extra_args(allow);
  return this;
}

Option* Option::excludes(Option* other) {
  option_->excludes(other->option_);
  return this;
}

Option* Option::needs(Option* other) {
  option_->needs(other->option_);
  return this;
}

App::App(const std::string& description, const std::string& name)
    : owned_(std::make_shared<CLI::App>(description, name)), app_(owned_.get()) {}

App* App::add_subcommand(const std::string& name, const std::string& description) {
  return &subcommands_.emplace_back(app_->add_subcommand(name, description));
}

Option* App::keep(CLI::Option* option) { return &options_.emplace_back(option); }

template <class T>
Option* App::add_option(const std::string& names, T& variable, const std::string& help) {
  return keep(app_->add_option(names, variable, help));
}

Option* App::add_flag(const std::string& names, bool& variable, const std::string& help) {
  return keep(app_->add_flag(names, variable, help));
}

Option* App::get_option(const std::string& name) { return keep(app_->get_option(name)); }

void App::footer(const std::string& text) { app_->footer(text); }
void App::callback(std::function<void()> run) { app_->callback(std::move(run)); }
void App::require_subcommand() { app_->require_subcommand(1); }
bool App::has_subcommand() const { return !app_->get_subcommands().empty(); }
void App::set_version(const std::string& text) { app_->set_version_flag("--version", text); }

std::optional<int> App::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? kGood : kWrongUse;
  }
}

#define EKE_OPTION_OF(T)                                                                       \
  template Option* App::add_option(const std::string&, T&, const std::string&);                \
  template Option* App::add_option(const std::string&, std::optional<T>&, const std::string&); \
  template Option* App::add_option(const std::string&, std::vector<T>&, const std::string&);
EKE_OPTION_OF(int)
EKE_OPTION_OF(long)
EKE_OPTION_OF(unsigned long)
EKE_OPTION_OF(float)
EKE_OPTION_OF(double)
EKE_OPTION_OF(std::string)
#undef EKE_OPTION_OF

}  // namespace eke::cli
