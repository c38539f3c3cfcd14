#include "galvatron/spec/communication.h"

#include <algorithm>
#include <limits>

namespace galvatron::spec {

OrderedJson communication_to_json(const Communication& communication) {
  const Communication standard;
  OrderedJson out = OrderedJson::object();
  const auto add = [&](const char* name, const auto& value, const auto& usual) {
    if (value != usual) out[name] = enum_text(value);
  };
  add("grad_reduce", communication.grad_reduce, standard.grad_reduce);
  add("grad_reduce_precision", communication.grad_reduce_precision, standard.grad_reduce_precision);
  add("parameter_gather", communication.parameter_gather, standard.parameter_gather);
  if (communication.reduce_window) out["reduce_window"] = communication.reduce_window->value;
  if (communication.gather_window != standard.gather_window)
    out["gather_window"] = communication.gather_window.value;
  return out;
}

Communication read_communication(JsonReader reader) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max() / 4;
  Communication out;
  out.grad_reduce = reader.get_enum_or("grad_reduce", out.grad_reduce);
  out.grad_reduce_precision =
      reader.get_enum_or("grad_reduce_precision", out.grad_reduce_precision);
  out.parameter_gather = reader.get_enum_or("parameter_gather", out.parameter_gather);
  if (reader.has("reduce_window"))
    out.reduce_window = Bytes{reader.get_int("reduce_window", 0, kMost)};
  out.gather_window = {reader.get_int_or("gather_window", 0, 0, kMost)};
  reader.finish();
  return out;
}

Communication CommunicationWish::applied_to(Communication communication) const {
  if (grad_reduce) communication.grad_reduce = *grad_reduce;
  if (grad_reduce_precision) communication.grad_reduce_precision = *grad_reduce_precision;
  if (parameter_gather) communication.parameter_gather = *parameter_gather;
  if (reduce_window) communication.reduce_window = reduce_window;
  if (gather_window) communication.gather_window = *gather_window;
  return communication;
}

CommunicationWish CommunicationWish::for_all_of(const Communication& communication) {
  return {communication.grad_reduce, communication.grad_reduce_precision,
          communication.parameter_gather, communication.reduce_window, communication.gather_window};
}

std::vector<std::string> communication_arguments(const Communication& communication) {
  std::vector<std::string> out;
  const OrderedJson json = communication_to_json(communication);
  for (const auto& [name, value] : json.items()) {
    std::string option = "--" + name;
    std::replace(option.begin(), option.end(), '_', '-');
    out.push_back(option);
    out.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return out;
}

namespace {

// A size, or 0.
void add_window(OptionList& list, const std::string& name, std::optional<Bytes>& value,
                const std::string& help) {
  list.text(
      name, "SIZE", help,
      [&value](const std::string& text, const std::string& shown) {
        value = text == "0" ? Bytes{} : parse_bytes(text, shown);
      },
      [&value] { return value ? std::to_string(value->value) : std::string(); });
}

}  // namespace

OptionList communication_options(CommunicationWish& wish) {
  OptionList list;
  list.group(kCommunicationOptions);
  list.choice("grad-reduce", wish.grad_reduce,
              "When ZeRO-2 and 3 reduce gradients: with every microbatch, or once a step, which "
              "keeps them whole in memory; default: the plan's, or microbatch");
  list.choice("grad-reduce-precision", wish.grad_reduce_precision,
              "Type in which gradients are summed over ranks: fp32 (fp64 runs: fp64), or bf16 at "
              "half the bytes; default: the plan's, or fp32");
  add_window(list, "reduce-window", wish.reduce_window,
             "Gradients whose reduction may be under way beside those of the layer behind; "
             "default: the plan's, or all that need no memory for it");
  add_window(list, "gather-window", wish.gather_window,
             "Parameters that ZeRO-3 gathers ahead beside those of the next layer; default: the "
             "plan's, or none");
  list.choice("parameter-gather", wish.parameter_gather,
              "What ZeRO-1 and 2 gather after the optimizer: waited for at once, or where the next "
              "forward uses it; default: the plan's, or wait");
  return list;
}

}  // namespace galvatron::spec
