#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "ferry/base/log.h"
#include "http/api.h"

namespace ferry::http {
namespace {

constexpr std::string_view kSuffix = ".control.json";
constexpr const char* kJournal = ".journal";  // until the batch is done with
constexpr std::string_view kFiles = ",\"files\":[";
constexpr std::size_t kHeadBytes = 4096;
constexpr std::size_t kBlockBytes = 128 * 1024;
constexpr std::size_t kUsualLimit = 20;
constexpr std::size_t kLargestLimit = 200;

/// Nothing that would lead out of the directory.
bool is_id(std::string_view text) {
  return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == text.npos;
}

fs::path control_file(const Context& context, const std::string& id) {
  return context.options.batches / (id + std::string(kSuffix));
}

/// The newest first: ids begin with the time.
Result<std::vector<std::string>> ids_before(const fs::path& directory, const std::string& cursor,
                                            std::size_t most) {
  std::vector<std::string> ids;
  boost::system::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    if (is_id(name) && (cursor.empty() || name < cursor)) ids.push_back(std::move(name));
  }
  if (error && error.value() != ENOENT) return errno_error(error.value(), directory.string());
  const auto kept = static_cast<std::ptrdiff_t>(std::min(most, ids.size()));
  std::ranges::partial_sort(ids, ids.begin() + kept, std::greater<>());
  ids.resize(static_cast<std::size_t>(kept));
  return ids;
}

/// All but the list of files, which the control file has behind its first line.
Result<Json> read_head(const fs::path& path) {
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  std::array<char, kHeadBytes> block{};
  const auto count = pread_full(fd->get(), std::as_writable_bytes(std::span(block)), 0, path);
  if (!count) return count.error();
  const std::string_view text(block.data(), *count);
  Json head = Json::parse(std::string(text.substr(0, text.find(kFiles))) + "}", nullptr, false);
  if (!head.is_object()) head = Json::object();
  return head;
}

Result<Json> to_json(const Context& context, const std::string& id) {
  const fs::path path = control_file(context, id);
  const auto head = read_head(path);
  if (!head) return head.error();
  boost::system::error_code ignored;
  Json json{{"id", id},
            {"control_file", path.filename().string()},
            {"complete", !fs::exists(context.options.batches / (id + kJournal), ignored)}};
  for (const char* member : {"created", "destination", "agent", "count", "total_bytes"}) {
    json[member] = head->contains(member) ? head->at(member) : Json();
  }
  return json;
}

Answer<std::size_t> parse_limit(const std::optional<std::string>& text) {
  if (!text) return kUsualLimit;
  std::size_t limit = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, limit);
  if (error == std::errc{} && rest == end && limit > 0 && limit <= kLargestLimit) return limit;
  return refuse(400, "invalid", fmt::format("limit is a number from 1 to {}", kLargestLimit));
}

void send_file(const UniqueFd& fd, const fs::path& path, std::uint64_t size, const Send& send) {
  std::vector<char> block(kBlockBytes);
  for (std::uint64_t at = 0; at < size;) {
    const auto count = pread_full(fd.get(), std::as_writable_bytes(std::span(block)), at, path);
    if (!count) return log::warning("control file not sent", {{"error", count.error().message}});
    if (*count == 0 || !send({block.data(), *count})) return;
    at += *count;
  }
}

}  // namespace

Answer<Response> list_batches(const Context& context, Call& call) {
  const auto limit = parse_limit(call.target.parameter("limit"));
  if (!limit) return std::unexpected(limit.error());
  const std::string cursor = call.target.parameter("cursor").value_or("");
  auto ids = ids_before(context.options.batches, cursor, *limit + 1);
  if (!ids) return refuse(ids.error());
  const bool has_more = ids->size() > *limit;
  if (has_more) ids->pop_back();
  Json batches = Json::array();
  for (const std::string& id : *ids) {
    auto batch = to_json(context, id);
    if (!batch && batch.error().kind == ErrorKind::kNotFound) continue;  // its time has come
    if (!batch) return refuse(batch.error());
    batches.push_back(std::move(*batch));
  }
  return json_response(
      200, {{"batches", std::move(batches)}, {"next", has_more ? Json(ids->back()) : Json()}});
}

Answer<Response> get_batch(const Context& context, Call& call) {
  const std::string& id = call.arguments.front();
  const fs::path path = control_file(context, id);
  auto fd = is_id(id) ? open_file(path, O_RDONLY)
                      : make_error(ErrorKind::kNotFound, "{}: not a batch", id);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) {
    return refuse(404, "not_found", "no control file of such a batch is kept");
  }
  if (!fd) return refuse(fd.error());
  const auto status = stat_fd(fd->get(), path);
  if (!status) return refuse(status.error());
  const auto size = static_cast<std::uint64_t>(status->st_size);
  Response response{
      200, {{"Content-Type", "application/json"}, {"Content-Length", std::to_string(size)}}};
  response.stream = [file = std::make_shared<UniqueFd>(std::move(*fd)), path,
                     size](const Send& send) { send_file(*file, path, size, send); };
  return response;
}

}  // namespace ferry::http
