#include <fcntl.h>

#include <algorithm>

#include "ferry/base/kept_batches.h"
#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "http/api/api.h"

namespace ferry::http {
namespace {

constexpr std::size_t kBlockBytes = 128 * 1024;
constexpr std::size_t kUsualLimit = 20;
constexpr std::size_t kLargestLimit = 200;

/// Those before CURSOR, the newest first: ids begin with the time. kNotFound if it is none of them.
Result<std::vector<std::string>> ids_before(const KeptBatches& batches, const std::string& cursor,
                                            std::size_t most) {
  auto ids = batches.ids();
  if (!ids) return ids;
  if (!cursor.empty()) {
    if (std::ranges::find(*ids, cursor) == ids->end()) {
      return make_error(ErrorKind::kNotFound, "the cursor belongs to no batch that is still kept");
    }
    std::erase_if(*ids, [&](const std::string& id) { return id >= cursor; });
  }
  const auto kept = static_cast<std::ptrdiff_t>(std::min(most, ids->size()));
  std::ranges::partial_sort(*ids, ids->begin() + kept, std::greater<>());
  ids->resize(static_cast<std::size_t>(kept));
  return ids;
}

Result<Json> to_json(const KeptBatches& batches, const std::string& id) {
  const auto head = batches.head(id);
  if (!head) return head.error();
  Json json{{"id", id},
            {"control_file", batches.control_file(id).filename().string()},
            {"complete", batches.is_complete(id)}};
  for (const char* member : {"created", "destination", "agent", "count", "total_bytes"}) {
    json[member] = head->contains(member) ? head->at(member) : Json();
  }
  return json;
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
  const auto limit = parse_limit(call.target, kUsualLimit, kLargestLimit);
  if (!limit) return std::unexpected(limit.error());
  const KeptBatches kept(context.configuration.batches);
  const std::string cursor = call.target.parameter("cursor").value_or("");
  auto ids = ids_before(kept, cursor, *limit + 1);
  if (!ids && ids.error().kind == ErrorKind::kNotFound) {
    return refuse(400, "invalid", ids.error().message);
  }
  if (!ids) return refuse(ids.error());
  const bool has_more = ids->size() > *limit;
  if (has_more) ids->pop_back();
  Json batches = Json::array();
  for (const std::string& id : *ids) {
    auto batch = to_json(kept, id);
    if (!batch && batch.error().kind == ErrorKind::kNotFound) continue;  // its time has come
    if (!batch) return refuse(batch.error());
    batches.push_back(std::move(*batch));
  }
  return json_response(
      200, {{"batches", std::move(batches)}, {"next", has_more ? Json(ids->back()) : Json()}});
}

Answer<Response> get_batch(const Context& context, Call& call) {
  const std::string& id = call.arguments.front();
  const fs::path path = KeptBatches(context.configuration.batches).control_file(id);
  auto fd = is_uuid(id) ? open_file(path, O_RDONLY)
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
