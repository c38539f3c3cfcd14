#include "galvatron/planning/question.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/device.h"
#include "galvatron/profiles/extended.h"

namespace galvatron::planning {
namespace {

// Models allow far longer ones; trained they are at these. Those that set no limit (T5) were at
// 512.
constexpr std::int64_t kUsualSeqLength = 8192, kUsualWithoutLimit = 512;
// How far peaks were seen above their prediction from measured profiles
// (docs/design/cost_model.md), and half as much again where the reserve is assumed and activations
// are computed.
constexpr double kMeasuredMargin = 0.05, kDataSheetMargin = 0.08;

void require(bool given, const char* option) {
  if (given) return;
  throw ConfigError("[search] ", option,
                    " is missing: give a measured profile, or a --cluster to compute with");
}

std::int64_t choose_length(const QuestionRequest& request, const spec::ModelSpec& model,
                           const MachineKnowledge& knowledge) {
  if (request.seq_length == 0 && knowledge.profile) return knowledge.profile->seq_length;
  return request.seq_length == 0 ? usual_seq_length(model)
                                 : model.choose_seq_length(request.seq_length, kUsualSeqLength);
}

// The sample's length is known.
void take_attended_length(const QuestionRequest& request, Question& question) {
  spec::JobSpec& job = question.job;
  job.attended_length = request.attended_length;
  if (job.attended_length == 0) return;
  if (question.model.task == spec::Task::kImageClasses) {
    throw ConfigError("[search] --attended-length ", job.attended_length,
                      " is of documents of text, and model '", question.model.name,
                      "' reads images; leave it away");
  }
  if (job.attended_length <= job.seq_length) return;
  throw ConfigError("[search] --attended-length ", job.attended_length,
                    " is more than the sample's ", count_text(job.seq_length, "token"),
                    "; a document ends where its sample does");
}

spec::Precision choose_precision(const QuestionRequest& request,
                                 const MachineKnowledge& knowledge) {
  if (request.precision) return *request.precision;
  if (knowledge.profile) return knowledge.profile->precision;
  if (knowledge.cluster) return knowledge.cluster->fast_precision();
  return spec::fast_precision(knowledge.hardware->device);
}

profiles::ModelProfile prepare_profile(const Question& question, MachineKnowledge& knowledge) {
  const spec::JobSpec& job = question.job;
  if (!knowledge.profile) {
    return profiles::analytic_model_profile(question.model, job.seq_length, job.precision,
                                            knowledge.cluster->device(job.precision),
                                            spec::attended_share(job));
  }
  profiles::ModelProfile out = std::move(*knowledge.profile);
  out.prepare(question.model, job.seq_length, job.precision, spec::attended_share(job));
  return out;
}

profiles::HardwareProfile prepare_hardware(const QuestionRequest& request, const spec::JobSpec& job,
                                           MachineKnowledge& knowledge) {
  profiles::HardwareProfile out =
      knowledge.hardware ? profiles::extended(std::move(*knowledge.hardware), request.world_size,
                                              knowledge.cluster, request.cluster)
                         : knowledge.cluster->hardware(job.precision);
  out.memory_reserve = request.memory_reserve.value_or(out.memory_reserve);
  return out;
}

// Layers measured on one device and links on another make no machine.
void check_devices(Question& question) {
  const std::string& layers = question.profile.device;
  const std::string& ranks = question.hardware.device;
  constexpr const char* kUnnamed = "cpu";
  if (layers == kUnnamed || ranks == kUnnamed || profiles::may_be_same_device(layers, ranks))
    return;
  if (layers.starts_with("cpu") != ranks.starts_with("cpu")) {
    throw ConfigError("[search] --profile was measured on '", layers, "', --hardware on '", ranks,
                      "'; measure both on one machine: `galvatron profile-model --device ",
                      ranks.starts_with("cpu") ? "cpu" : "cuda",
                      "`, or leave one of them to a "
                      "--cluster");
  }
  question.hardware.extrapolated.push_back(
      fmt::format("layers: measured on {}, collectives on {}", layers, ranks));
}

MemoryMargin choose_margin(const QuestionRequest& request, bool is_measured) {
  if (request.memory_margin) return *request.memory_margin;
  if (request.memory) return {};
  return {is_measured ? kMeasuredMargin : kDataSheetMargin, {}};
}

void choose_memory(const QuestionRequest& request, bool is_measured, Question& out) {
  if (!request.memory && out.hardware.device_memory.value == 0) {
    if (!request.needs_memory) return;
    throw ConfigError(
        "[search] --memory is missing: the hardware profile does not say how much a "
        "device has");
  }
  require_unit(request.memory);
  out.memory_given = request.memory.value_or(out.hardware.device_memory);
  out.margin = choose_margin(request, is_measured);
  out.margin_is_given = request.memory_margin.has_value();
  out.memory = out.memory_given - out.margin.of(out.memory_given);
  if (out.memory.value < 1) {
    throw ConfigError("[search] --memory-margin ", to_text(out.margin), " leaves nothing of ",
                      to_text(out.memory_given));
  }
}

}  // namespace

std::int64_t usual_seq_length(const spec::ModelSpec& model) {
  return model.choose_seq_length(0, model.limits_length() ? kUsualSeqLength : kUsualWithoutLimit);
}

Bytes MemoryMargin::of(Bytes memory) const {
  return whole_bytes(share * static_cast<double>(memory.value)) + bytes;
}

void require_unit(std::optional<Bytes> memory) {
  if (!memory || *memory >= kibibytes(1)) return;
  throw ConfigError("[search] --memory ", memory->value, " is ", count_text(memory->value, "byte"),
                    "; write the unit, such as 24GiB or 80GB");
}

MemoryMargin parse_margin(const std::string& text, const std::string& what) {
  if (text == "0") return {};
  if (!text.ends_with('%')) return {0, parse_bytes(text, what)};
  double percent = 0;
  const char* last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), last, percent);
  if (error != std::errc() || end != last || !(percent >= 0 && percent < 100)) {
    throw ConfigError(what, " needs a share below 100 %, such as 5%, or a size, not '", text, "'");
  }
  return {percent / 100, {}};
}

std::string to_text(const MemoryMargin& margin) {
  if (margin.bytes.value > 0) return to_text(margin.bytes);
  return fmt::format("{:g} %", 100 * margin.share);
}

OptionList machine_options(MachineFiles& files) {
  OptionList list;
  list.group("Input");
  list.path("hardware", files.hardware, "Profile written by profile-hardware");
  list.path("profile", files.profile, "Profile written by profile-model");
  list.text("cluster", files.cluster,
            "Data sheet for what is not measured: a name, a file, or "
            "NODESxDEVICESxDEVICE:NETWORK such as 2x8xA100-40G:25GB/s (galvatron clusters)");
  list.append(calibration_options(files.calibration));
  return list;
}

OptionList calibration_options(std::string& file) {
  OptionList list;
  list.path("calibration", file,
            "Factors that a run's measured parts have over their prediction, written by galvatron "
            "report --calibrate");
  return list;
}

MachineKnowledge read_machine(const MachineFiles& files) {
  MachineKnowledge out;
  if (!files.cluster.empty()) out.cluster = profiles::load_cluster(files.cluster);
  if (!files.profile.empty()) out.profile = profiles::read_model_profile(files.profile);
  if (!files.hardware.empty()) out.hardware = profiles::read_hardware_profile(files.hardware);
  if (!files.calibration.empty()) out.calibration = read_calibration(files.calibration);
  return out;
}

OptionList memory_options(QuestionRequest& request) {
  OptionList list;
  list.group("Input");
  list.bytes("memory", request.memory,
             "What a plan may use of one device; default: all it has, less the margin");
  list.bytes("memory-reserve", request.memory_reserve,
             "Kept for context and allocator, within --memory; default: as measured");
  list.text(
      "memory-margin", "SIZE|N%",
      "Left free of --memory for predictions that err; default: 5% with measured profiles, 8% "
      "with data sheets, nothing of a --memory that is given",
      [&request](const std::string& text, const std::string& shown) {
        request.memory_margin = parse_margin(text, shown);
      },
      [&request] {
        return request.memory_margin ? to_text(*request.memory_margin) : std::string();
      });
  return list;
}

OptionList question_options(QuestionRequest& request) {
  OptionList list;
  list.group("Input");
  list.count("world-size", request.world_size, {0, plan::kMaxRanks},
             "Ranks; 0: all of the cluster, or of the profile");
  list.append(memory_options(request));
  list.count("seq-length", request.seq_length, {.min = 0},
             "Tokens of a sample; 0: the profile's, else the model's own, 8192 at most");
  list.append(attended_option(request, "all of the sample"));
  list.choice("precision", request.precision,
              "Of compute; default: the model profile's, else what is fast on the device: bf16 on "
              "GPUs, fp32 on cpu");
  list.choice("optimizer", request.optimizer, spec::optimizer_names(),
              "Of the training: what it keeps takes memory");
  list.append(tokens_option(request));
  list.append(spec::communication_options(request.communication));
  list.append(profiles::cluster_override_options(request.cluster));
  return list;
}

OptionList attended_option(QuestionRequest& request, const std::string& otherwise) {
  OptionList list;
  list.group("Input");
  list.count("attended-length", request.attended_length, {.min = 0},
             "Tokens of its own document that a token is compared with on average, where train "
             "keeps --documents apart; 0: " +
                 otherwise);
  return list;
}

OptionList tokens_option(QuestionRequest& request) {
  OptionList list;
  list.group("Input");
  list.amount("tokens", request.tokens,
              "Of the whole training, such as 1T: the answer says how many days it takes");
  return list;
}

cost::CostInputs Question::inputs(std::int64_t global_batch) const {
  spec::JobSpec other = job;
  other.global_batch = global_batch;
  return {model, other, hardware, profile, factors};
}

Question prepare_question(const QuestionRequest& request, spec::ModelSpec model,
                          MachineKnowledge knowledge) {
  auto& cluster = knowledge.cluster;
  if (cluster) cluster = profiles::adapted(*cluster, request.cluster, request.world_size);
  require(cluster || knowledge.hardware, "--hardware");
  require(cluster || knowledge.profile, "--profile");
  const bool is_measured = knowledge.hardware && knowledge.profile;
  Question out;
  out.model = std::move(model);
  out.job.precision = choose_precision(request, knowledge);
  out.job.optimizer = &spec::find_optimizer(request.optimizer);
  out.job.communication = request.communication.applied_to({});
  out.job.seq_length = choose_length(request, out.model, knowledge);
  take_attended_length(request, out);
  out.profile = prepare_profile(out, knowledge);
  out.hardware = prepare_hardware(request, out.job, knowledge);
  if (is_measured) check_devices(out);
  out.peak_flops = cluster ? cluster->device(out.job.precision).flops_per_ms * 1000
                           : profiles::peak_flops(out.hardware.device, out.job.precision);
  out.tokens = request.tokens;
  choose_memory(request, is_measured, out);
  if (knowledge.calibration) {
    const std::vector<std::string> said =
        require_calibration_for(*knowledge.calibration, out.hardware.device,
                                out.hardware.world_size, out.model.name, out.job.precision);
    out.hardware.extrapolated.insert(out.hardware.extrapolated.end(), said.begin(), said.end());
    out.factors = knowledge.calibration->factors;
  }
  return out;
}

}  // namespace galvatron::planning
