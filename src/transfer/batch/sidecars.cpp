#include "transfer/batch/sidecars.h"

#include <algorithm>
#include <cstring>

#include "transfer/deliver/publish.h"
#include "transfer/naming/remote_path.h"
#include "transfer/run/tenure.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

/// At once, over one connection: each has a handle.
constexpr std::size_t kSideBySide = 32;

std::string content_of(Sidecar sidecar, const BatchFile& file) {
  if (sidecar != Sidecar::kSha256) return {};
  const std::string& path = file.remote_path;
  return sum_line(file.sha256, std::string_view(path).substr(path.rfind('/') + 1));
}

std::string sidecar_path(const BatchInfo& info, const BatchFile& file) {
  return file.remote_path + std::string(suffix_of(info.sidecar));
}

class Sidecars {
 public:
  Sidecars(Session& session, Batch& batch, unsigned try_number, const TransferOptions& options)
      : session_(session), batch_(batch), try_number_(try_number), options_(options) {}

  Task<Result<void>> push_all() {
    if (batch_.info().sidecar == Sidecar::kNone) co_return Result<void>();
    auto marks = batch_.journal().marks();
    if (!marks) co_return marks.error();
    for (std::optional<Place> from = 0; from && outcome_;) {
      auto group = next_group(*marks, *from);
      if (!group) co_return group.error();
      sftp::TaskGroup lanes(*session_.loop);
      for (const BatchFile& file : group->files) lanes.spawn(push(file));
      co_await lanes;
      from = group->next;
    }
    co_return outcome_;
  }

 private:
  using Place = BatchJournal::Place;
  struct Group {
    std::vector<BatchFile> files;
    std::optional<Place> next;  // nothing: these are the last
  };

  Result<Group> next_group(const BatchJournal::Marks& marks, Place from) const {
    Group group;
    auto visited = batch_.journal().visit_begun(from, [&](Place place, const BatchFile& file) {
      if (group.files.size() == kSideBySide) {
        group.next = place;
        return false;
      }
      if (marks.is_delivered(place)) group.files.push_back(file);
      return true;
    });
    if (!visited) return visited.error();
    return group;
  }

  Task<void> push(BatchFile file) {
    const BatchInfo& info = batch_.info();
    const std::string content = content_of(info.sidecar, file);
    const Target target{.part_path = sidecar_part(info, file, try_number_),
                        .final_path = sidecar_path(info, file),
                        .size = content.size(),
                        .sha256 = sha256_of(content)};
    const Content source{
        .source = {.read = [&content](std::uint64_t offset,
                                      std::span<std::byte> buffer) -> Result<void> {
          std::memcpy(buffer.data(), content.data() + offset, buffer.size());
          return {};
        }},
        .on_acknowledged = [](std::uint64_t, std::size_t) {}};
    auto pushed = co_await upload_part(session_, target, source, options_);
    if (pushed) pushed = co_await confirm_tenure(batch_.presence(), *session_.loop);
    if (pushed) pushed = co_await rename_part(*session_.client, target);
    if (pushed) co_return;
    batch_.abandon_part(target.part_path);
    if (outcome_) outcome_ = pushed;
  }

  Session& session_;
  Batch& batch_;
  const unsigned try_number_;
  const TransferOptions& options_;
  Result<void> outcome_;
};

}  // namespace

std::string sidecar_part(const BatchInfo& info, const BatchFile& file, unsigned try_number) {
  return part_path(sidecar_path(info, file), part_token(info.id, file.id, try_number));
}

Task<Result<void>> push_sidecars(Session& session, Batch& batch, unsigned try_number,
                                 const TransferOptions& options) {
  Sidecars sidecars(session, batch, try_number, options);
  co_return co_await sidecars.push_all();
}

}  // namespace ferry::transfer
