// The --json files of nccl-tests.
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/profiles/nccl_tests.h"

namespace galvatron::profiles {
namespace {

class JsonRun {
 public:
  explicit JsonRun(const std::string& source) : source_(source) {}

  NcclTestRun read(const Json& json) {
    if (!json.is_object() || !json.contains("results") || !json.contains("config")) {
      throw ConfigError("[nccl-tests] ", source_,
                        " is JSON, but has no 'config' and 'results' as nccl-tests' --json writes "
                        "them; give one of its files, or what it prints");
    }
    version_ = whole(json, "version");
    NcclTestRun run;
    run.source = source_;
    read_config(json.at("config"), run);
    read_operation(json, run);
    read_outcome(json);
    const Json& results = json.at("results");
    if (!results.is_array()) fail("'results' is no list");
    for (std::size_t i = 0; i < results.size(); ++i) read_row(results[i], i, run);
    finish_nccl_run(run);
    return run;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw ConfigError("[nccl-tests] ", source_, ": ", problem, " (its version is ", version_,
                      ", 1 and 2 are known); give what the program prints instead");
  }

  const Json& at(const Json& object, const std::string& key) const {
    if (!object.is_object() || !object.contains(key)) fail("'" + key + "' is missing");
    return object.at(key);
  }

  std::int64_t whole(const Json& object, const std::string& key) const {
    const Json& value = at(object, key);
    if (!value.is_number_integer()) fail("'" + key + "' is " + value_text(&value) + ", no number");
    return value.get<std::int64_t>();
  }

  double number(const Json& object, const std::string& key) const {
    const Json& value = at(object, key);
    if (!value.is_number()) fail("'" + key + "' is " + value_text(&value) + ", no number");
    return value.get<double>();
  }

  std::string text(const Json& object, const std::string& key) const {
    const Json& value = at(object, key);
    return value.is_string() ? value.get<std::string>() : "";
  }

  // Of a process that drives several devices it lists the first one.
  void read_config(const Json& config, NcclTestRun& run) const {
    run.aggregated =
        static_cast<int>(std::max<std::int64_t>(1, whole(config, "aggregated_iterations")));
    const std::int64_t per_process = whole(config, "nthreads") * whole(config, "ngpus");
    const Json& devices = at(config, "devices");
    if (!devices.is_array() || per_process < 1 || per_process > 1024) fail("'devices' is no list");
    const bool lists_all = devices.size() > 1 && whole(devices[1], "rank") == 1;
    for (const Json& device : devices) {
      NcclTestRank rank;
      rank.rank = static_cast<int>(whole(device, "rank"));
      rank.group = static_cast<int>(whole(device, "group"));
      rank.host = text(device, "hostname");
      rank.device = text(device, "device_info");
      for (std::int64_t i = 0; i < (lists_all ? 1 : per_process); ++i, ++rank.rank) {
        run.ranks.push_back(rank);
      }
    }
  }

  void read_operation(const Json& json, NcclTestRun& run) const {
    const Json* arguments = find_value(json, "args");
    if (!arguments || !arguments->is_array() || arguments->empty()) return;
    const Json& program = arguments->front();
    if (program.is_string()) {
      run.operation = nccl_operation_in(program.get<std::string>()).value_or("");
    }
  }

  void read_outcome(const Json& json) const {
    if (const Json* wrong = find_value(json, "out_of_bounds");
        wrong && whole(*wrong, "count") > 0) {
      throw ConfigError("[nccl-tests] ", source_, ": ", whole(*wrong, "count"),
                        " values out of bounds: this machine computes wrongly, its times say "
                        "nothing");
    }
    const Json* errors = find_value(json, "errors");
    if (!errors || !errors->is_array()) return;
    for (const Json& error : *errors) {
      if (!error.is_string() || error.get<std::string>().empty()) continue;
      throw ConfigError("[nccl-tests] ", source_, ": the run failed: ", error.get<std::string>(),
                        "; times of a run that did not end say nothing, run it again");
    }
  }

  NcclTestResult read_result(const Json& result) const {
    if (result.is_object() && result.contains("cpu_time")) {
      throw ConfigError("[nccl-tests] ", source_,
                        ": CPU times (-C 1), which say nothing of the links; run it without -C");
    }
    NcclTestResult out;
    out.microseconds = number(result, "time");
    out.algorithm_bandwidth = number(result, "alg_bw");
    out.bus_bandwidth = number(result, "bus_bw");
    const Json& wrong = at(result, "nwrong");
    if (wrong.is_number()) out.wrong_values = wrong.get<double>();
    return out;
  }

  void read_row(const Json& json, std::size_t index, NcclTestRun& run) const {
    NcclTestRow row;
    row.where = source_ + ": results[" + std::to_string(index) + "]";
    row.size = {whole(json, "size")};
    if (row.size.value <= 0) return;
    row.count = whole(json, "count");
    row.type = text(json, "type");
    row.redop = text(json, "redop");
    row.root = std::atoi(text(json, "root").c_str());
    const Json* out_of_place = find_value(json, "out_of_place");
    const Json* in_place = find_value(json, "in_place");
    const bool has_out = out_of_place && out_of_place->is_object();
    const bool has_in = in_place && in_place->is_object();
    if (!has_out && !has_in) fail("results[" + std::to_string(index) + "] has no times");
    row.out_of_place = read_result(has_out ? *out_of_place : *in_place);
    if (has_in) row.in_place = read_result(*in_place);
    run.rows.push_back(std::move(row));
  }

  const std::string& source_;
  std::int64_t version_ = 0;
};

}  // namespace

std::vector<NcclTestRun> nccl_tests_from_json(const std::string& text, const std::string& source) {
  return {JsonRun(source).read(parse_json(text, source))};
}

}  // namespace galvatron::profiles
