// The JSON of Preprocess and of class names: read strictly, for it comes from files and models of others.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "data/preprocess.h"

namespace eke {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxJsonBytes = std::size_t{1} << 24;
constexpr int kMaxDepth = 8;

// The double that prints as the shortest text of a float: 123.675 instead of 123.67500305175781.
double shortest(float value) {
  char text[64];
  const char* end = std::to_chars(text, text + sizeof text, value).ptr;
  double result = 0;
  std::from_chars(text, end, result);
  return result;
}

std::array<double, 3> shortest(const std::array<float, 3>& values) {
  return {shortest(values[0]), shortest(values[1]), shortest(values[2])};
}

// The line of a key, for messages: the parser does not keep positions.
std::size_t line_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(fmt::format("\"{}\"", key));
  const std::string_view before = text.substr(0, at == std::string_view::npos ? 0 : at);
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

// Parses with a bound on size and depth; a repeated key of the outermost object is an error.
Json parse(std::string_view text) {
  check(text.size() <= kMaxJsonBytes, "JSON of {} bytes: at most {} are read", text.size(), kMaxJsonBytes);
  std::set<std::string> keys;
  const auto on_event = [&](int depth, Json::parse_event_t event, Json& value) {
    check(depth <= kMaxDepth, "JSON is nested deeper than {}", kMaxDepth);
    if (event == Json::parse_event_t::key && depth == 1) {
      const std::string key = value.get<std::string>();
      check(keys.insert(key).second, "key '{}' is given twice (line {}): remove one", key,
            line_of(text, key));
    }
    return true;
  };
  try {
    return Json::parse(text, on_event);
  } catch (const Json::exception& error) {
    fail("not valid JSON: {}", error.what());
  }
}

// One key of the object: fetches typed values and remembers what was asked for.
class Fields {
 public:
  Fields(const Json& object, std::string_view text) : object_(object), text_(text) {
    check(object.is_object(), "expected a JSON object as {{\"width\": 224, \"height\": 224}}");
  }

  void integer(std::string_view key, int& out, bool required = false) {
    const Json* value = find(key, required);
    if (!value) return;
    check(value->is_number_integer(), "{}: expected an integer", place(key));
    // Values of 64 bits, signed or not, are compared as doubles: what is lost there is far out of range.
    const double number = value->get<double>();
    check(number >= -2147483648.0 && number <= 2147483647.0, "{}: the number is out of range", place(key));
    out = value->get<int>();
  }

  void number(std::string_view key, float& out) {
    if (const Json* value = find(key, false)) out = as_float(key, *value);
  }

  void triple(std::string_view key, std::array<float, 3>& out) {
    const Json* value = find(key, false);
    if (!value) return;
    if (value->is_number()) {
      out.fill(as_float(key, *value));
      return;
    }
    check(value->is_array() && value->size() == 3, "{}: expected a number or an array of three", place(key));
    for (std::size_t c = 0; c < 3; ++c) out[c] = as_float(key, (*value)[c]);
  }

  template <class E>
  void name(std::string_view key, E (*parse_name)(std::string_view), E& out) {
    const Json* value = find(key, false);
    if (!value) return;
    check(value->is_string(), "{}: expected a string", place(key));
    try {
      out = parse_name(value->template get<std::string>());
    } catch (const Error& error) {
      fail("{}: {}", place(key), error.what());
    }
  }

  void refuse_others() const {
    for (const auto& [key, value] : object_.items()) {
      std::string allowed;
      for (const std::string& known : known_) allowed += (allowed.empty() ? "" : ", ") + known;
      check(known_.count(key) > 0, "{}: unknown; the keys are {}", place(key), allowed);
    }
  }

 private:
  const Json* find(std::string_view key, bool required) {
    known_.emplace(key);
    const auto found = object_.find(std::string(key));
    check(found != object_.end() || !required, "key '{}' is missing", key);
    return found == object_.end() ? nullptr : &*found;
  }

  float as_float(std::string_view key, const Json& value) const {
    check(value.is_number(), "{}: expected a number", place(key));
    const float number = value.get<float>();
    check(std::isfinite(number), "{}: the number is out of range", place(key));
    return number;
  }

  std::string place(std::string_view key) const {
    return fmt::format("key '{}' (line {})", key, line_of(text_, key));
  }

  const Json& object_;
  std::string_view text_;
  std::set<std::string> known_;
};

}  // namespace

std::string preprocess_to_json(const Preprocess& p) {
  Json json;
  json["width"] = p.width;
  json["height"] = p.height;
  json["order"] = to_string(p.order);
  json["mean"] = shortest(p.mean);
  json["scale"] = shortest(p.scale);
  json["fit"] = to_string(p.fit);
  json["crop"] = shortest(p.crop);
  json["pad"] = p.pad;
  json["layout"] = to_string(p.layout);
  return json.dump();
}

Preprocess preprocess_from_json(std::string_view text) {
  return with_context([] { return "preprocessing"; },
                      [&] {
                        const Json json = parse(text);
                        Fields fields(json, text);
                        Preprocess p;
                        fields.integer("width", p.width, true);
                        fields.integer("height", p.height, true);
                        fields.name("order", parse_channel_order, p.order);
                        fields.triple("mean", p.mean);
                        fields.triple("scale", p.scale);
                        fields.name("fit", parse_fit, p.fit);
                        fields.number("crop", p.crop);
                        fields.integer("pad", p.pad);
                        fields.name("layout", parse_layout, p.layout);
                        fields.refuse_others();
                        verify(p);
                        return p;
                      });
}

std::string labels_to_json(std::span<const std::string> labels) {
  Json json = Json::array();
  for (const std::string& label : labels) json.push_back(label);
  // Names of folders may hold bytes that are not UTF-8; they are replaced, as JSON cannot hold them.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> labels_from_json(std::string_view text) {
  return with_context([] { return "labels"; },
                      [&] {
                        const Json json = parse(text);
                        check(json.is_array(), "expected a JSON array of strings");
                        std::vector<std::string> labels;
                        for (const Json& entry : json) {
                          check(entry.is_string(), "entry {} is not a string", labels.size());
                          labels.push_back(entry.get<std::string>());
                        }
                        return labels;
                      });
}

}  // namespace eke
