#include "galvatron/base/option.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/foreign_options.h"
#include "galvatron/base/user_path.h"
#include "galvatron/base/utf8.h"

namespace galvatron {
namespace {

// "17", "-0.5": all of the text, or nothing.
template <typename T>
std::optional<T> parse_all(const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename T>
std::string range_text(Bounds<T> bounds, T most) {
  if (bounds.max >= most) return fmt::format("of at least {}", bounds.min);
  return fmt::format("from {} to {}{}", bounds.min, bounds.below_max ? "below " : "", bounds.max);
}

// A whole number within the bounds and within what the variable can hold.
template <typename T>
T parse_count(const std::string& text, const std::string& shown, Bounds<std::int64_t> bounds) {
  constexpr std::int64_t kMost = std::numeric_limits<T>::max();
  const std::optional<std::int64_t> value = parse_all<std::int64_t>(text);
  if (!value || *value < bounds.min || *value > std::min(bounds.max, kMost)) {
    throw ConfigError(shown, " needs a whole number ", range_text(bounds, kMost), ", not '", text,
                      "'");
  }
  return static_cast<T>(*value);
}

double parse_number(const std::string& text, const std::string& shown, Bounds<double> bounds) {
  const std::optional<double> value = parse_all<double>(text);
  if (!value || !std::isfinite(*value) || *value < bounds.min || *value > bounds.max ||
      (bounds.below_max && *value == bounds.max)) {
    throw ConfigError(shown, " needs a number ",
                      range_text(bounds, std::numeric_limits<double>::max()), ", not '", text, "'");
  }
  return *value;
}

bool parse_bool(const std::string& text, const std::string& shown) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw ConfigError(shown, " needs true or false, not '", text, "'");
}

template <typename T>
std::string text_of(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : std::string();
}

template <typename T>
OrderedJson json_of(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

std::string text_of_bytes(Bytes value) { return value.value > 0 ? to_text(value) : std::string(); }

// A keyword argument as the command line would have it, where its type is one that `option` takes.
std::string argument_text(const Option& option, const Json& value, const std::string& shown) {
  if (value.is_array()) {
    if (option.kind == OptionKind::kList) {
      std::string out;
      for (const Json& part : value)
        out += (out.empty() ? "" : ",") + argument_text(option, part, shown);
      return out;
    }
  } else if (value.is_boolean()) {
    if (option.kind == OptionKind::kSwitch || option.kind == OptionKind::kFlag)
      return value.get<bool>() ? "true" : "false";
  } else if (value.is_number()) {
    return value.dump();
  } else if (value.is_string()) {
    const bool is_text = option.kind == OptionKind::kText || option.kind == OptionKind::kPath ||
                         option.kind == OptionKind::kBytes || option.kind == OptionKind::kAmount ||
                         option.kind == OptionKind::kChoice || option.takes_several;
    if (is_text) return value.get<std::string>();
  }
  throw ConfigError(shown, " needs ", option.python_type(), ", not ", value.dump());
}

}  // namespace

std::vector<std::string> split_list(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::string Option::python_name() const {
  std::string out = name;
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string Option::python_type() const {
  switch (kind) {
    case OptionKind::kText:
    case OptionKind::kChoice:
      return "str";
    case OptionKind::kPath:
      return "str | PathLike[str]";
    case OptionKind::kBytes:
    case OptionKind::kAmount:
      return "int | str";
    case OptionKind::kCount:
      return "int";
    case OptionKind::kNumber:
      return "float";
    case OptionKind::kSwitch:
    case OptionKind::kFlag:
      return "bool";
    case OptionKind::kList:
      if (takes_several) return "list[str]";
      return placeholder.front() == 'N' ? "list[int]" : "float | list[float]";
  }
  return "";
}

Option& Option::required() {
  is_required = true;
  standard.clear();
  return *this;
}

Option& Option::positional() {
  is_positional = true;
  return *this;
}

Option& Option::says_default() { return shows_default(""); }

Option& Option::shows_default(const std::string& text) {
  standard = text;
  return *this;
}

OptionList& OptionList::group(const std::string& heading) {
  group_ = heading;
  return *this;
}

Option& OptionList::add(Option option) {
  option.group = group_;
  options_.push_back(std::move(option));
  return options_.back();
}

Option& OptionList::text(const std::string& name, std::string& value, const std::string& help,
                         const std::string& placeholder) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    if (text.empty()) throw ConfigError(shown, " is empty");
    value = text;
  };
  return add({name, OptionKind::kText, help, placeholder, "", value, false, false, parse,
              [&value] { return OrderedJson(value); }});
}

Option& OptionList::path(const std::string& name, std::string& value, const std::string& help) {
  Option& option = text(name, value, help, "PATH");
  option.kind = OptionKind::kPath;
  option.parse = [parse_text = option.parse](const std::string& text, const std::string& shown) {
    parse_text(user_path(text), shown);
  };
  return option;
}

Option& OptionList::bytes(const std::string& name, Bytes& value, const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    value = parse_bytes(text, shown);
  };
  return add({name, OptionKind::kBytes, help, "SIZE", "", text_of_bytes(value), false, false, parse,
              [&value] { return OrderedJson(value.value); }});
}

Option& OptionList::bytes(const std::string& name, std::optional<Bytes>& value,
                          const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    value = parse_bytes(text, shown);
  };
  return add({name, OptionKind::kBytes, help, "SIZE", "", value ? to_text(*value) : "", false,
              false, parse,
              [&value] { return value ? OrderedJson(value->value) : OrderedJson(); }});
}

Option& OptionList::amount(const std::string& name, std::optional<double>& value,
                           const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    value = parse_amount(text, shown);
  };
  return add({name, OptionKind::kAmount, help, "AMOUNT", "", text_of(value), false, false, parse,
              [&value] { return json_of(value); }});
}

Option& OptionList::text(const std::string& name, const std::string& placeholder,
                         const std::string& help,
                         std::function<void(const std::string&, const std::string&)> set,
                         std::function<std::string()> get) {
  const std::string standard = get();
  const auto value = [get = std::move(get)] {
    const std::string text = get();
    return text.empty() ? OrderedJson() : OrderedJson(text);
  };
  return add({name, OptionKind::kText, help, placeholder, "", standard, false, false,
              std::move(set), value});
}

Option& OptionList::bandwidth(const std::string& name, std::optional<Bandwidth>& value,
                              const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    value = parse_bandwidth(text, shown);
  };
  const auto record = [&value] { return value ? OrderedJson(exact_text(*value)) : OrderedJson(); };
  return add({name, OptionKind::kText, help, "RATE", "", value ? exact_text(*value) : "", false,
              false, parse, record});
}

namespace {

template <typename T>
Option count_option(const std::string& name, T& value, OptionList::Counts bounds,
                    const std::string& help) {
  const auto parse = [&value, bounds](const std::string& text, const std::string& shown) {
    value = parse_count<T>(text, shown, bounds);
  };
  return {name,  OptionKind::kCount,
          help,  "N",
          "",    fmt::format("{}", value),
          false, false,
          parse, [&value] { return OrderedJson(value); }};
}

template <typename T>
Option count_option(const std::string& name, std::optional<T>& value, OptionList::Counts bounds,
                    const std::string& help) {
  const auto parse = [&value, bounds](const std::string& text, const std::string& shown) {
    value = parse_count<T>(text, shown, bounds);
  };
  return {name,  OptionKind::kCount,
          help,  "N",
          "",    text_of(value),
          false, false,
          parse, [&value] { return json_of(value); }};
}

}  // namespace

Option& OptionList::count(const std::string& name, int& value, Counts bounds,
                          const std::string& help) {
  return add(count_option(name, value, bounds, help));
}

Option& OptionList::count(const std::string& name, std::int64_t& value, Counts bounds,
                          const std::string& help) {
  return add(count_option(name, value, bounds, help));
}

Option& OptionList::count(const std::string& name, std::optional<int>& value, Counts bounds,
                          const std::string& help) {
  return add(count_option(name, value, bounds, help));
}

Option& OptionList::count(const std::string& name, std::optional<std::int64_t>& value,
                          Counts bounds, const std::string& help) {
  return add(count_option(name, value, bounds, help));
}

Option& OptionList::seed(const std::string& name, std::uint64_t& value, const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    const auto given = parse_all<std::uint64_t>(text);
    if (!given) throw ConfigError(shown, " needs a whole number of at least 0, not '", text, "'");
    value = *given;
  };
  return add({name, OptionKind::kCount, help, "N", "", std::to_string(value), false, false, parse,
              [&value] { return OrderedJson(value); }});
}

Option& OptionList::number(const std::string& name, double& value, Numbers bounds,
                           const std::string& help) {
  return number(
      name, bounds, help, [&value](double given) { value = given; },
      [&value] { return std::optional(value); });
}

Option& OptionList::number(const std::string& name, std::optional<double>& value, Numbers bounds,
                           const std::string& help) {
  return number(
      name, bounds, help, [&value](double given) { value = given; }, [&value] { return value; });
}

Option& OptionList::number(const std::string& name, Numbers bounds, const std::string& help,
                           std::function<void(double)> set,
                           std::function<std::optional<double>()> get) {
  const auto parse = [set = std::move(set), bounds](const std::string& text,
                                                    const std::string& shown) {
    set(parse_number(text, shown, bounds));
  };
  // Shortest text that reads back as the same number.
  const std::string standard = text_of(get());
  return add({name, OptionKind::kNumber, help, "X", "", standard, false, false, parse,
              [get = std::move(get)] { return json_of(get()); }});
}

Option& OptionList::choice(const std::string& name, std::string& value, const Names& choices,
                           const std::string& help) {
  return choice(
      name, choices, help, [&value](const std::string& text) { value = text; },
      [&value] { return value; });
}

Option& OptionList::choice(const std::string& name, const Names& names, const std::string& help,
                           std::function<void(const std::string&)> set,
                           std::function<std::string()> get) {
  const auto parse = [names, set = std::move(set)](const std::string& text,
                                                   const std::string& shown) {
    if (std::find(names.begin(), names.end(), text) == names.end()) {
      throw ConfigError(shown, " needs one of ", fmt::format("{}", fmt::join(names, ", ")),
                        ", not '", text, "'", did_you_mean(text, names));
    }
    set(text);
  };
  const std::string standard = get();
  const auto value = [get = std::move(get)] {
    const std::string text = get();
    return text.empty() ? OrderedJson() : OrderedJson(text);
  };
  return add({name, OptionKind::kChoice, help, fmt::format("{}", fmt::join(names, "|")), "",
              standard, false, false, parse, value});
}

Option& OptionList::on_off(const std::string& name, bool& value, const std::string& help) {
  const auto parse = [&value](const std::string& text, const std::string& shown) {
    value = parse_bool(text, shown);
  };
  return add({name, OptionKind::kSwitch, help, "true|false", "", value ? "true" : "false", false,
              false, parse, [&value] { return OrderedJson(value); }});
}

Option& OptionList::flag(const std::string& name, bool& value, const std::string& help) {
  Option& option = on_off(name, value, help);
  option.kind = OptionKind::kFlag;
  option.placeholder.clear();
  option.standard.clear();
  return option;
}

Option& OptionList::counts(const std::string& name, std::vector<int>& value, Counts bounds,
                           const std::string& help) {
  const auto parse = [&value, bounds](const std::string& text, const std::string& shown) {
    std::vector<int> all;
    for (const std::string& part : split_list(text))
      all.push_back(parse_count<int>(part, shown, bounds));
    value = std::move(all);
  };
  return add({name, OptionKind::kList, help, "N,N,...", "",
              fmt::format("{}", fmt::join(value, ",")), false, false, parse,
              [&value] { return OrderedJson(value); }});
}

Option& OptionList::numbers(const std::string& name, std::vector<double>& value, Numbers bounds,
                            const std::string& help) {
  const auto parse = [&value, bounds](const std::string& text, const std::string& shown) {
    std::vector<double> all;
    for (const std::string& part : split_list(text))
      all.push_back(parse_number(part, shown, bounds));
    value = std::move(all);
  };
  return add({name, OptionKind::kList, help, "X,X,...", "",
              fmt::format("{}", fmt::join(value, ",")), false, false, parse,
              [&value] { return OrderedJson(value); }});
}

Option& OptionList::texts(const std::string& name, std::vector<std::string>& value,
                          const std::string& help, const std::string& placeholder) {
  const auto parse = [&value](const std::string& text, const std::string&) {
    value.push_back(text);
  };
  return add({name, OptionKind::kList, help, placeholder, "", "", false, true, parse,
              [&value] { return OrderedJson(value); }});
}

void OptionList::append(const OptionList& more) {
  options_.insert(options_.end(), more.options_.begin(), more.options_.end());
}

OptionList OptionList::without(const Names& names) const {
  OptionList out = *this;
  std::erase_if(out.options_, [&](const Option& option) {
    return std::find(names.begin(), names.end(), option.name) != names.end();
  });
  return out;
}

const Option* OptionList::find(const std::string& python_name) const {
  const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& option) {
    return option.python_name() == python_name;
  });
  return found == options_.end() ? nullptr : &*found;
}

void OptionList::read(const Json& arguments, const std::string& source) const {
  for (const auto& [key, value] : arguments.items()) {
    const Option* option = find(key);
    if (option == nullptr) {
      std::vector<std::string> known;
      for (const Option& one : options_) known.push_back(one.python_name());
      throw ConfigError("[", source, "] '", key, "' is unknown",
                        unknown_option_hint(key, known, /*dashes=*/false));
    }
    if (value.is_null()) continue;
    if (!option->takes_several) {
      option->parse(argument_text(*option, value, key), key);
      continue;
    }
    const Json list = value.is_array() ? value : Json::array({value});
    for (const Json& one : list) option->parse(argument_text(*option, one, key), key);
  }
}

std::string OptionList::given_of(const Json& arguments, const std::string& heading) const {
  for (const Option& option : options_) {
    if (option.group != heading) continue;
    const auto found = arguments.find(option.python_name());
    if (found != arguments.end() && !found->is_null()) return option.python_name();
  }
  return "";
}

OrderedJson OptionList::record(const std::vector<std::string>& headings) const {
  OrderedJson out = OrderedJson::object();
  for (const Option& option : options_) {
    if (std::find(headings.begin(), headings.end(), option.group) == headings.end()) continue;
    OrderedJson value = option.value();
    if (!value.is_null()) out[option.python_name()] = std::move(value);
  }
  return as_utf8(out);
}

OrderedJson OptionList::describe() const {
  OrderedJson out = OrderedJson::array();
  for (const Option& option : options_) {
    out.push_back({{"name", option.python_name()},
                   {"type", option.python_type()},
                   {"default", option.standard},
                   {"values", option.placeholder},
                   {"help", option.help},
                   {"group", option.group},
                   {"required", option.is_required}});
  }
  return out;
}

}  // namespace galvatron
