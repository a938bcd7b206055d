#include "transfer/batch/recovery.h"

#include <string>
#include <vector>

#include "ferry/base/log.h"
#include "transfer/batch/pushing.h"
#include "transfer/batch/sidecars.h"
#include "transfer/deliver/journal.h"
#include "transfer/deliver/journal_lanes.h"
#include "transfer/deliver/publish.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/free_name.h"
#include "transfer/naming/kept_aside.h"
#include "transfer/naming/naming.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Task;
using Place = BatchJournal::Place;

class Remains {
 public:
  Remains(Session& session, Batch& batch, const BatchContext& context, Verify depth)
      : session_(session), batch_(batch), context_(context), depth_(depth) {}

  Task<Result<void>> look() {
    auto marks = batch_.journal().marks();
    if (!marks) co_return marks.error();
    marks_ = std::move(*marks);
    const std::function<bool(Place)> wanted = [this](Place place) {
      return !BatchJournal::Marks::has(marks_.moved, place);
    };
    const std::function<Task<Result<void>>(BegunFile)> look_at = [this](BegunFile begun) {
      if (marks_.is_delivered(begun.place)) return look_at_delivered(std::move(begun));
      return marks_.is_open(begun.place) ? look_at_open(std::move(begun))
                                         : look_at_failed(std::move(begun));
    };
    const auto looked = co_await for_each_begun(session_, batch_.journal(), wanted, look_at);
    if (client().error()) co_return *client().error();
    co_return looked;
  }

 private:
  Client& client() { return *session_.client; }

  /// B acknowledged its name. It is asked for once more, as deliveries are.
  Task<Result<void>> look_at_delivered(BegunFile begun) {
    const std::string none;
    co_await remove_parts(begun, none);
    co_await remove_sidecar_parts(begun.file);
    Target target{.part_path = begun.file.remote_path,
                  .final_path = begun.file.remote_path,
                  .size = begun.file.size,
                  .sha256 = begun.file.sha256};
    const auto verified = co_await verify_part(session_, target, depth_);
    if (client().error()) co_return *client().error();
    if (verified) co_return Result<void>();
    const auto is_taken = co_await was_taken(begun);
    if (!is_taken) co_return is_taken.error();
    if (*is_taken) co_return Result<void>();
    log::warning("delivered file not found as it was",
                 {{"remote_path", begun.file.remote_path}, {"reason", verified.error().message}});
    const std::string part = last_part_of(begun);
    if (part != resumable_part_of(begun)) batch_.abandon_part(part);
    co_return batch_.journal().note_void(begun.place);
  }

  /// Where no list is pushed a receiver has nothing to wait for: it takes what has its name. If B
  /// had lost the name, and not the receiver taken it, the part would be there.
  Task<Result<bool>> was_taken(BegunFile begun) {
    if (batch_.info().control != ControlFormat::kNone) co_return false;
    const auto file = co_await look_at(client(), begun.file.remote_path);
    if (!file) co_return file.error();
    const auto part = co_await look_at(client(), last_part_of(begun));
    if (!part) co_return part.error();
    co_return !*file && !*part;
  }

  Task<Result<void>> look_at_failed(BegunFile begun) {
    const std::string resumable = resumable_part_of(begun);
    co_await remove_parts(begun, resumable);
    co_return Result<void>();
  }

  /// Nobody knows whether it got its name.
  Task<Result<void>> look_at_open(BegunFile begun) {
    const std::string resumable = resumable_part_of(begun);
    // Nothing has got its name yet: what has it was there before.
    if (batch_.info().all_or_nothing && !batch_.journal().is_naming()) {
      co_await remove_parts(begun, resumable);
      co_return Result<void>();
    }
    const Target target{.part_path = last_part_of(begun),
                        .final_path = begun.file.remote_path,
                        .size = begun.file.size,
                        .sha256 = begun.file.sha256};
    const auto fate = co_await fate_of_rename(client(), target);
    if (!fate) {
      if (client().error()) co_return *client().error();
      co_return Result<void>();  // it cannot be known, and is sent again
    }
    // Before it was begun its name was looked at, unless it replaces whatever has that.
    const bool was_free = begun.file.if_exists != IfExists::kReplace;
    const bool is_there =
        *fate == RenameFate::kDone || (*fate == RenameFate::kUnreadable && was_free);
    const std::string kept = is_there ? std::string() : resumable;
    co_await remove_parts(begun, kept);
    if (is_there) co_return batch_.journal().note_end(begun.place, {.date = now()});
    co_return Result<void>();
  }

  std::string resumable_part_of(const BegunFile& begun) const {
    return Journal::part_path_in(context_.options.journals, begun.file.id,
                                 context_.destination.name);
  }

  std::string last_part_of(const BegunFile& begun) const {
    const auto [first, last] = marks_.more_parts.equal_range(begun.place);
    return first == last ? begun.file.part_path : std::prev(last)->second;
  }

  Task<void> remove_parts(const BegunFile& begun, std::string but) {
    std::vector<std::string> parts{begun.file.part_path};
    const auto [first, last] = marks_.more_parts.equal_range(begun.place);
    for (auto part = first; part != last; ++part) parts.push_back(part->second);
    if (marks_.is_delivered(begun.place)) parts.pop_back();  // that has its final name
    for (std::string& part : parts) {
      if (part == but) continue;
      [[maybe_unused]] const auto removed = co_await remove_leftover(client(), std::move(part));
    }
  }

  Task<void> remove_sidecar_parts(BatchFile file) {
    if (batch_.info().sidecar == Sidecar::kNone) co_return;
    for (unsigned n = 0; n < batch_.journal().tries(); ++n) {
      [[maybe_unused]] const auto removed =
          co_await remove_leftover(client(), sidecar_part(batch_.info(), file, n));
      if (client().error()) co_return;
    }
  }

  Session& session_;
  Batch& batch_;
  const BatchContext& context_;
  const Verify depth_;
  BatchJournal::Marks marks_;
};

Task<Result<void>> remove_control_parts(Client& client, const BatchJournal& journal) {
  const BatchInfo& info = journal.info();
  std::vector<std::string> parts{mark_path(info)};
  for (const std::string& name :
       {info.control_path, info.control_path + std::string(kSignatureSuffix)}) {
    for (unsigned n = 0; n < journal.tries(); ++n) {
      parts.push_back(part_path(name, part_token(info.id, info.id, n)));
    }
  }
  for (std::string& part : parts) {
    [[maybe_unused]] const auto removed = co_await remove_leftover(client, std::move(part));
    if (client.error()) co_return *client.error();
  }
  co_return Result<void>();
}

Task<Result<void>> look_at_files(Session& session, Batch& batch, const BatchContext& context,
                                 Verify depth) {
  if (batch.info().all_or_nothing && batch.journal().is_naming()) {
    const auto before = batch.journal().marks();
    if (!before) co_return before.error();
    // Without what others have taken it will never be whole.
    if (!before->moved.empty() || batch.journal().is_rolling_back()) {
      co_return co_await roll_back(session, batch);
    }
    const auto named = co_await give_names(session, batch);
    if (session.client->error()) co_return *session.client->error();
    if (named) {
      Remains remains(session, batch, context, depth);
      const auto looked = co_await remains.look();
      if (!looked) co_return looked;
      const auto marks = batch.journal().marks();
      if (!marks) co_return marks.error();
      if (marks->voided.empty()) co_return Result<void>();
    }
    co_return co_await roll_back(session, batch);
  }
  Remains remains(session, batch, context, depth);
  co_return co_await remains.look();
}

}  // namespace

Task<Result<void>> look_at_remains(Session& session, Batch& batch, const BatchContext& context) {
  const auto fate = co_await fate_of_list(session, batch.journal());
  if (!fate) co_return fate.error();
  if (*fate == ListFate::kPushed) {
    if (auto noted = batch.journal().note_pushed(); !noted) co_return noted;
    const auto unmarked = co_await remove_mark(session, batch.journal());
    if (!unmarked) co_return unmarked;
    co_return co_await remove_kept(session, batch);
  }
  // What is there may be older, and of the same size.
  const bool is_lost = *fate == ListFate::kLost;
  const Verify depth = is_lost ? Verify::kReadback : context.options.verify;
  const auto looked = co_await look_at_files(session, batch, context, depth);
  if (!looked) co_return looked;
  const auto removed = co_await remove_control_parts(*session.client, batch.journal());
  if (!removed || !is_lost) co_return removed;
  co_return co_await note_not_pushed(session, batch.journal());
}

}  // namespace ferry::transfer
