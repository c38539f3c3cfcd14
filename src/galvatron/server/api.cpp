#include "galvatron/server/api.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/server/failure.h"
#include "galvatron/server/opened.h"
#include "galvatron/server/page.h"
#include "galvatron/server/page_assets.h"
#include "galvatron/server/plan_answers.h"
#include "galvatron/server/questions.h"
#include "galvatron/server/search_answers.h"
#include "galvatron/server/start.h"
#include "galvatron/views/run_view.h"

namespace galvatron::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kApi = "/api/";
constexpr const char *kGet = "GET", *kPost = "POST";

bool is_json(const http::Request& request) {
  const std::string* type = request.header("Content-Type");
  return type != nullptr && lower_case(type->substr(0, type->find(';'))) == "application/json";
}

// Of a path, what stands before its "{id}".
std::string fixed_part(const std::string& path) { return path.substr(0, path.find('{')); }

std::string shown(const std::string& path) {
  constexpr std::size_t kShown = 100;
  return path.substr(0, kShown);
}

http::Answer wrong_method(const std::string& path, const std::string& method) {
  http::Answer out = failure_answer(405, fmt::format("{} is asked by {}", path, method));
  out.headers.push_back({"Allow", method == kGet ? "GET, HEAD" : method});
  return out;
}

OrderedJson identify_answer(const Json& request) {
  JsonReader reader(request, "the request", Nulls::kAbsent);
  const bool is_folder = reader.has("files");
  const std::string name =
      is_folder ? reader.get_string_or("name", "the folder") : reader.get_string("name");
  FileTexts files;
  if (is_folder) {
    JsonReader texts = reader.get_object("files");
    for (const std::string& file : texts.keys()) files[file] = texts.get_string(file);
  } else {
    files[name] = reader.get_string("text");
  }
  reader.finish();
  return identify(name, files);
}

}  // namespace

Api::Api(std::vector<fs::path> files, ApiLimits limits, const std::string& version, bool watches)
    : files_(std::move(files)), limits_(limits), watches_(watches), start_(start_text(version)) {
  add_endpoints();
}

void Api::add_endpoints() {
  const auto answers = [](OrderedJson (*answer)(const Json&)) {
    return [answer](const Json& request) { return json_answer(answer(request)); };
  };
  const auto searches = [this](SearchWork (*work)(const Json&, double)) {
    return [this, work](const Json& request) { return search(work(request, limits_.seconds)); };
  };
  endpoints_ = {
      {kGet, "/api/start", [this](const Json&) { return start(); }},
      {kGet, "/api/run/{id}", [this](const Json& id) { return run(id); }},
      {kPost, "/api/identify", answers(&identify_answer), /*takes_files=*/true},
      {kPost, "/api/plan", answers(&plan_answer)},
      {kPost, "/api/timeline", answers(&timeline_answer)},
      {kPost, "/api/memory", answers(&memory_answer)},
      {kPost, "/api/compare", answers(&compare_answer)},
      {kPost, "/api/export", answers(&export_answer)},
      {kPost, "/api/search", searches(&search_answer)},
      {kPost, "/api/frontier", searches(&frontier_answer)},
      {kPost, "/api/sweep", searches(&sweep_answer)},
  };
}

std::vector<std::string> Api::paths() const {
  std::vector<std::string> out;
  for (const Endpoint& one : endpoints_) out.push_back(one.path);
  return out;
}

const Api::Endpoint* Api::find(const std::string& path) const {
  const auto found = std::find_if(endpoints_.begin(), endpoints_.end(), [&](const Endpoint& one) {
    const std::string fixed = fixed_part(one.path);
    return fixed == one.path ? path == fixed : path.starts_with(fixed);
  });
  return found == endpoints_.end() ? nullptr : &*found;
}

http::Answer Api::no_such(const std::string& path) const {
  std::vector<std::string> known = paths();
  for (const PageAsset& asset : page_assets()) known.emplace_back(asset.path);
  return failure_answer(404, "there is no " + shown(path) + did_you_mean(shown(path), known));
}

std::optional<http::Answer> Api::refusal(const http::Request& head) const {
  const Endpoint* endpoint = find(head.path);
  if (endpoint == nullptr && head.path.starts_with(kApi)) return no_such(head.path);
  const std::string wanted = endpoint == nullptr ? kGet : endpoint->method;
  if (head.method != wanted && !(wanted == kGet && head.method == "HEAD")) {
    return wrong_method(shown(head.path), wanted);
  }
  if (wanted == kGet || is_json(head)) return std::nullopt;
  return failure_answer(415, head.path + " takes JSON: Content-Type: application/json");
}

http::Answer Api::answer(const http::Request& request) const {
  const Endpoint* endpoint = find(request.path);
  if (endpoint == nullptr) {
    auto page = page_answer(request);
    return page ? std::move(*page) : no_such(request.path);
  }
  try {
    if (endpoint->method == kGet) {
      return endpoint->answer(request.path.substr(fixed_part(endpoint->path).size()));
    }
    const Bytes longest_text = endpoint->takes_files ? limits_.request : kLongestText;
    return endpoint->answer(parse_content(request.body, "the request", longest_text));
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    return failure_answer(failure.status, failure.sentence);
  }
}

std::string Api::start_text(const std::string& version) const {
  OrderedJson out = {{"version", version}};
  out.update(known_names());
  out["opened"] = OrderedJson::array();
  for (const auto& path : files_) {
    OrderedJson one = opened(path);
    one["id"] = out["opened"].size();
    one["watch"] = one["kind"] == "run";
    out["opened"].push_back(std::move(one));
  }
  out["limits"] = {{"request_bytes", limits_.request.value}, {"seconds", limits_.seconds}};
  return out.dump();
}

OrderedJson Api::opened(const fs::path& path) const {
  const auto whole = fs::absolute(path).lexically_normal();
  const std::string name = (whole.has_filename() ? whole : whole.parent_path()).filename();
  if (!watches_) return identify(name, read_texts(path, limits_.request));
  OrderedJson view = run_now(path);
  const OrderedJson title = view.is_null() ? OrderedJson(name) : view["title"];
  return {{"kind", "run"}, {"name", name}, {"title", title}, {"content", std::move(view)}};
}

// Of a folder, read anew. null: it is watched and has not begun.
OrderedJson Api::run_now(const fs::path& folder) const {
  const views::RunTexts texts = views::read_run_texts(folder);
  if (watches_ && !views::has_begun(texts)) return nullptr;
  return views::run_view(views::read_run(texts));
}

http::Answer Api::start() const {
  http::Answer out = json_answer(nullptr);
  out.body = start_;
  return out;
}

http::Answer Api::run(const Json& id) const {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (id != std::to_string(i) || fs::is_regular_file(files_[i])) continue;
    return json_answer(run_now(files_[i]));
  }
  return failure_answer(404, "file " + shown(id) + " of the command line is no run");
}

std::shared_ptr<const void> Api::take_place() const {
  if (searching_.fetch_add(1) < limits_.searches) {
    return {this, [](const void* self) { --static_cast<const Api*>(self)->searching_; }};
  }
  --searching_;
  return nullptr;
}

http::Answer Api::search(std::function<void(Lines& lines)> work) const {
  std::shared_ptr<const void> place = take_place();
  if (!place) {
    return failure_answer(429, count_text(limits_.searches, "search") +
                                   " at a time are all that this machine has cores for: wait for "
                                   "one to end, or cancel it");
  }
  return line_answer(limits_.seconds, [place = std::move(place),
                                       work = std::move(work)](Lines& lines) { work(lines); });
}

}  // namespace galvatron::server
