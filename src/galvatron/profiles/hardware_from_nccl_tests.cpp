#include "galvatron/profiles/hardware_from_nccl_tests.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/base/table.h"
#include "galvatron/profiles/device.h"
#include "galvatron/profiles/nccl_test_layout.h"

namespace galvatron::profiles {
namespace {

struct PlacedRun {
  const NcclTestRun* run = nullptr;
  Collective collective = Collective::kAllReduce;
  NcclTestLayout layout;
  GroupShape shape;  // on nodes of the profile
};

struct MeasuredTime {
  Milliseconds time;
  const std::string* where = nullptr;
};

// By size, of one collective and shape.
using MeasuredSizes = std::map<std::int64_t, std::vector<MeasuredTime>>;
using CurveKey = std::pair<Collective, GroupShape>;

std::string curve_name(const CurveKey& key) {
  return fmt::format("{} of {} ranks{}", to_text(key.first), key.second.size,
                     key.second.stride > 1 ? fmt::format(" (stride {})", key.second.stride) : "");
}

double median_time(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Small messages vary; a large one that takes twice as long is of another machine or a busy one.
void check_agreement(const CurveKey& key, std::int64_t size,
                     const std::vector<MeasuredTime>& times) {
  constexpr double kMostRatio = 2;
  if (Bytes{size} < mebibytes(1)) return;
  const auto [least, most] = std::minmax_element(
      times.begin(), times.end(),
      [](const MeasuredTime& a, const MeasuredTime& b) { return a.time < b.time; });
  if (most->time / least->time <= kMostRatio) return;
  throw ConfigError("[nccl-tests] ", curve_name(key), ", ", to_text(Bytes{size}), ": ",
                    to_text(least->time), " (", *least->where, ") and ", to_text(most->time), " (",
                    *most->where,
                    ") contradict each other; leave out the one that is not of this machine");
}

// A collective's time never falls with the size: what took longer than a larger message was
// disturbed.
std::vector<CurvePoint> without_disturbed(const CurveKey& key, std::vector<CurvePoint> points,
                                          std::vector<std::string>& notes) {
  constexpr double kTolerance = 1.25, kMostShare = 1.0 / 3;
  std::vector<CurvePoint> kept;
  std::vector<std::string> left_out;
  double least = points.back().y;
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (point->y > kTolerance * least) {
      left_out.push_back(to_text(whole_bytes(point->x)));
      continue;
    }
    least = std::min(least, point->y);
    kept.push_back(*point);
  }
  std::reverse(kept.begin(), kept.end());
  std::reverse(left_out.begin(), left_out.end());
  if (static_cast<double>(left_out.size()) > kMostShare * static_cast<double>(points.size())) {
    throw ConfigError("[nccl-tests] ", curve_name(key), ": ", left_out.size(), " of ",
                      points.size(), " sizes took longer than a larger one (",
                      fmt::format("{}", fmt::join(left_out, ", ")),
                      "); the machine was busy or a link is faulty, measure again");
  }
  if (!left_out.empty()) {
    notes.push_back(fmt::format("{}: {} took longer than a larger message and is left out",
                                curve_name(key), fmt::join(left_out, ", ")));
  }
  return kept;
}

class ProfileMaker {
 public:
  ProfileMaker(const std::vector<NcclTestRun>& runs, const NcclTestsOptions& options)
      : runs_(runs), options_(options) {}

  HardwareProfile make() {
    place_runs();
    find_device();
    start_profile();
    add_measured();
    add_rest();
    return std::move(out_);
  }

 private:
  void note(std::string text) { out_.extrapolated.push_back(std::move(text)); }

  void place_runs() {
    std::vector<std::string> unused;
    for (const NcclTestRun& run : runs_) {
      const auto collective = collective_of(run.operation);
      if (!collective) {
        unused.push_back(run.operation);
        continue;
      }
      placed_.push_back({&run, *collective, nccl_test_layout(run), {}});
    }
    if (placed_.empty()) {
      throw ConfigError("[nccl-tests] of ", fmt::format("{}", fmt::join(unused, ", ")),
                        " alone no profile can be made: give all_reduce_perf's output, best with "
                        "those of all_gather, reduce_scatter, alltoall and sendrecv");
    }
    if (!unused.empty()) {
      note(fmt::format("{}: no part of a training step, left out", fmt::join(unused, ", ")));
    }
    int listed = 0;
    for (const PlacedRun& placed : placed_) listed = std::max(listed, placed.layout.ranks_per_node);
    per_node_ = options_.devices_per_node > 0 ? options_.devices_per_node : listed;
    for (PlacedRun& placed : placed_) place(placed);
  }

  void place(PlacedRun& placed) {
    NcclTestLayout& layout = placed.layout;
    const std::string& source = placed.run->source;
    if (per_node_ == 0) {
      throw ConfigError("[nccl-tests] ", source,
                        " does not list its ranks and their hosts; say --devices-per-node, how "
                        "many devices a node has");
    }
    if (layout.ranks_per_node == 0) layout.ranks_per_node = std::min(per_node_, layout.num_ranks);
    const int on_node = layout.ranks_per_node, nodes = layout.num_nodes();
    if (on_node > per_node_ || layout.num_ranks % on_node != 0 ||
        (nodes > 1 && per_node_ % on_node != 0)) {
      throw ConfigError("[nccl-tests] ", source, ": ", layout.num_ranks, " ranks, ", on_node,
                        " on a node, have no place on nodes of ", per_node_,
                        "; say another --devices-per-node, or leave the file out");
    }
    const int spread = nodes > 1 ? per_node_ / on_node : 1;
    placed.shape = {layout.group.size, layout.group.stride * spread};
    if (placed.collective == Collective::kPointToPoint) {
      placed.shape = {2, nodes > 1 ? per_node_ : 1};
    }
    world_size_ = std::max(world_size_, nodes > 1 ? nodes * per_node_ : layout.num_ranks);
  }

  void find_device() {
    std::string reported;
    for (const PlacedRun& placed : placed_) {
      const std::string& device = placed.layout.device;
      if (device.empty()) continue;
      if (reported.empty()) reported = device;
      if (device != reported) {
        throw ConfigError("[nccl-tests] ", placed.run->source, " is of '", device,
                          "', the files before it of '", reported,
                          "'; a profile is of one kind of device");
      }
    }
    device_ = reported;
    if (!options_.data_sheet.empty()) {
      sheet_ = profiles::find_device(options_.data_sheet);
      return;
    }
    sheet_ = find_reported_device(reported);
    if (sheet_) return;
    const std::string name =
        reported.empty() ? "no device is named" : "'" + reported + "' is not known";
    throw ConfigError("[nccl-tests] ", name,
                      ": say --data-sheet DEVICE, whose memory, overlap and optimizer are as its "
                      "own (`galvatron clusters` lists all)");
  }

  void start_profile() {
    std::vector<std::string> notes = std::move(out_.extrapolated);
    Cluster cluster = sheet_->node;
    cluster.spec.devices_per_node = per_node_;
    cluster.spec.num_nodes = std::max(1, world_size_ / per_node_);
    sheet_links_ = cluster.network;
    out_ = cluster.hardware(cluster.fast_precision());
    out_.links.clear();
    out_.device = device_.empty() ? cluster.spec.device : device_;
    out_.world_size = world_size_;
    out_.ranks_per_node = per_node_;
    std::set<std::string> files, versions;
    for (const PlacedRun& placed : placed_) {
      files.insert(std::filesystem::path(placed.run->source).filename().string());
      if (!placed.run->version.empty()) versions.insert(placed.run->version);
      if (out_.provenance.host.empty()) out_.provenance.host = placed.layout.host;
    }
    out_.provenance.note =
        fmt::format("measured by nccl-tests{}: {}",
                    versions.empty() ? "" : " " + fmt::format("{}", fmt::join(versions, ", ")),
                    fmt::join(files, ", "));
    out_.extrapolated = std::move(notes);
    note("memory, overlap and optimizer: from the data sheet of " + sheet_->name);
  }

  void add_measured() {
    std::map<CurveKey, MeasuredSizes> measured;
    for (const PlacedRun& placed : placed_) {
      for (const NcclTestRow& row : placed.run->rows) {
        const double ms = row.result(placed.run->operation).microseconds / 1000;
        measured[{placed.collective, placed.shape}][row.size.value].push_back(
            {Milliseconds{ms}, &row.where});
      }
      note_how(placed);
    }
    for (const auto& [key, sizes] : measured) {
      std::vector<CurvePoint> points;
      for (const auto& [size, times] : sizes) {
        check_agreement(key, size, times);
        std::vector<double> values;
        for (const MeasuredTime& time : times) values.push_back(time.time.value);
        points.push_back({static_cast<double>(size), median_time(std::move(values))});
      }
      points = without_disturbed(key, std::move(points), out_.extrapolated);
      out_.tables.push_back({key.first, key.second, curve_of(key, std::move(points))});
    }
  }

  void note_how(const PlacedRun& placed) {
    const NcclTestLayout& layout = placed.layout;
    const CurveKey key{placed.collective, placed.shape};
    if (placed.run->aggregated > 1) {
      note(fmt::format("{}: started {} at a time, one alone has a higher latency", curve_name(key),
                       placed.run->aggregated));
    }
    if (layout.num_nodes() < 2) return;
    const bool is_pair = placed.collective == Collective::kPointToPoint;
    const int at_once = is_pair ? 1 : layout.ranks_per_node;
    if (at_once < per_node_) {
      note(
          fmt::format("{}: measured with {} of the {} devices of a node at work; in training all "
                      "share its network",
                      curve_name(key), at_once, per_node_));
    }
  }

  // Of one size the data sheet's latency, so that a small message is not free.
  Curve curve_of(const CurveKey& key, std::vector<CurvePoint> points) {
    if (points.size() > 1) return Curve(std::move(points));
    const bool crosses = out_.crosses_nodes(key.second);
    const Link& link = crosses ? sheet_links_.inter_node : sheet_links_.intra_node;
    const double latency =
        std::min(link.latency_ms * tree_steps(key.first, key.second.size), points[0].y / 2);
    note(fmt::format("{}: one size was measured ({}), the latency is the data sheet's",
                     curve_name(key), to_text(whole_bytes(points[0].x))));
    return Curve(Line{latency, (points[0].y - latency) / points[0].x});
  }

  // The table that says most of a link: all-reduce first, then the largest group.
  const CollectiveTable* telling_table(bool crosses) const {
    const CollectiveTable* best = nullptr;
    const auto rank = [](const CollectiveTable& table) {
      return std::tuple(-static_cast<int>(table.collective), table.shape.size);
    };
    for (const CollectiveTable& table : out_.tables) {
      if (out_.crosses_nodes(table.shape) != crosses || !(table.curve.line().slope > 0)) continue;
      if (!best || rank(table) > rank(*best)) best = &table;
    }
    return best;
  }

  // What group_time() would have to be told, to say what the table says.
  Link link_of(const CollectiveTable& table, const Link& inside) const {
    const int size = table.shape.size;
    const Line& line = table.curve.line();
    Link out;
    out.latency_ms = line.intercept / tree_steps(table.collective, size);
    out.bandwidth_bytes_per_ms = bus_factor(table.collective, size) / line.slope;
    if (!out_.crosses_nodes(table.shape)) return out;
    const int members = std::clamp(per_node_ / table.shape.stride, 1, size);
    if (table.collective == Collective::kAllToAll) {
      const double own = (members - 1.0) / size / inside.bandwidth_bytes_per_ms;
      const double left = std::max(line.slope - own, line.slope / 2);
      out.bandwidth_bytes_per_ms = (size - members) / static_cast<double>(size) / left;
    } else if (table.collective != Collective::kPointToPoint) {
      out.bandwidth_bytes_per_ms /= members;
    }
    return out;
  }

  void add_rest() {
    const CollectiveTable* inside = telling_table(false);
    const CollectiveTable* across = telling_table(true);
    const Link intra = inside ? link_of(*inside, {}) : sheet_links_.intra_node;
    const std::string missing = missing_collectives();
    const std::string source = to_text((across ? across : inside)->collective);
    if (!missing.empty()) {
      note(fmt::format("{}: not measured, from the links that {} measured", missing, source));
    }
    if (!across) {
      add_missing_tables(*inside, intra);
      note("groups of other sizes and strides: scaled from those measured");
      return;
    }
    if (!inside && per_node_ > 1) {
      note("links inside a node: from the data sheet of " + sheet_->name + ", not measured");
    }
    out_.links = {{"intra_node", intra}, {"inter_node", link_of(*across, intra)}};
    note(fmt::format("groups of other sizes and strides: from the links that {} measured", source));
  }

  bool is_measured(Collective collective) const {
    return std::any_of(out_.tables.begin(), out_.tables.end(), [&](const CollectiveTable& table) {
      return table.collective == collective;
    });
  }

  std::string missing_collectives() const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < collective_names().size(); ++i) {
      if (!is_measured(static_cast<Collective>(i))) names.push_back(collective_names()[i]);
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

  // On one node no link is kept: a larger machine must say its network.
  void add_missing_tables(const CollectiveTable& table, const Link& link) {
    HardwareProfile linked;
    linked.world_size = linked.ranks_per_node = out_.ranks_per_node;
    linked.links = {{"intra_node", link}, {"inter_node", link}};
    std::vector<double> sizes;
    for (const CurvePoint& point : table.curve.points()) sizes.push_back(point.x);
    if (sizes.empty()) sizes = {1024, 1048576, 1073741824};
    std::vector<CollectiveTable> added;
    for (std::size_t i = 0; i < collective_names().size(); ++i) {
      const auto collective = static_cast<Collective>(i);
      if (is_measured(collective)) continue;
      const GroupShape shape{collective == Collective::kPointToPoint ? 2 : table.shape.size, 1};
      std::vector<CurvePoint> points;
      for (const double size : sizes) {
        points.push_back({size, linked.group_time(collective, shape, whole_bytes(size)).value});
      }
      added.push_back({collective, shape, Curve(std::move(points))});
    }
    out_.tables.insert(out_.tables.end(), added.begin(), added.end());
  }

  const std::vector<NcclTestRun>& runs_;
  const NcclTestsOptions& options_;
  std::vector<PlacedRun> placed_;
  int per_node_ = 0, world_size_ = 0;
  std::string device_;  // as reported
  std::optional<Device> sheet_;
  NetworkSpec sheet_links_;
  HardwareProfile out_;
};

}  // namespace

HardwareProfile hardware_from_nccl_tests(const std::vector<NcclTestRun>& runs,
                                         const NcclTestsOptions& options) {
  return ProfileMaker(runs, options).make();
}

std::string measured_curves_table(const HardwareProfile& profile) {
  TextTable table({"collective", "ranks", "stride", "sizes", "smallest", "largest", "took", "bus"});
  for (const CollectiveTable& entry : profile.tables) {
    const auto& points = entry.curve.points();
    const double slope = entry.curve.line().slope;
    const double per_byte = points.empty() ? slope : points.back().y / points.back().x;
    const Bandwidth bus{bus_factor(entry.collective, entry.shape.size) / per_byte};
    table.add_row({to_text(entry.collective), std::to_string(entry.shape.size),
                   std::to_string(entry.shape.stride), std::to_string(points.size()),
                   points.empty() ? "-" : to_text(whole_bytes(points.front().x)),
                   points.empty() ? "-" : to_text(whole_bytes(points.back().x)),
                   points.empty() ? "-" : to_text(Milliseconds{points.back().y}), to_text(bus)});
  }
  return table.to_string();
}

}  // namespace galvatron::profiles
