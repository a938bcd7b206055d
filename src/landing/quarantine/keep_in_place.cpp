#include "landing/quarantine/keeper.h"
#include "landing/upload/upload_place.h"

namespace ferry::landing {
namespace {

using metastore::FileRecord;
using metastore::Metastore;

StagedFile to_staged(const FileRecord& row) {
  return {.path = row.path,
          .temporary = {},
          .identity = row.identity.value_or(FileIdentity{}),
          .sha256 = row.checksum};
}

/// Nothing is moved on a server: the registry alone knows what is held.
class InPlace final : public Keeper {
 public:
  InPlace(Metastore& metastore, const LandingArea& area) : metastore_(metastore), area_(area) {}

  Result<bool> hold(const FileRecord&, std::string_view) override { return false; }

  Result<std::vector<HeldFile>> moved() override { return std::vector<HeldFile>(); }

  Result<void> locate(HeldFile& file) override {
    file.location = fs::path(place_name(area_) + "/" + file.path);
    return {};
  }

  /// The file is in its place already; the agent proves its content when it is sent.
  Outcome<FileRecord> release(const HeldFile& held, const std::string& path,
                              StopToken& stop) override {
    if (path != held.path) {
      return fail(make_error(ErrorKind::kInvalid,
                             "what is held on a server is released under its own name only"));
    }
    const auto row = row_of(metastore_, held);
    if (!row) return std::unexpected(row.error());
    if (auto newest = check_newest(metastore_, *row); !newest) {
      return std::unexpected(newest.error());
    }
    if (auto there = check_there(*row, stop); !there) return std::unexpected(there.error());
    return let_go(metastore_, held);
  }

  Result<void> finish_releases() override { return {}; }

  /// Only the version that is held: what has taken its place since stays.
  Outcome<void> drop(const HeldFile& held, StopToken& stop) override {
    const auto row = row_of(metastore_, held);
    if (!row) return std::unexpected(row.error());
    auto place = open_place(area_, stop);
    if (!place) return fail(place.error(), Origin::kDestination);
    const StagedFile file = to_staged(*row);
    const auto there = (*place)->identities(std::span(&file, 1));
    if (!there) return fail(there.error(), Origin::kDestination);
    if (there->front()) {
      const auto removed = (*place)->discard(std::span(&held.path, 1));
      if (!removed) return fail(removed.error(), Origin::kDestination);
    }
    return set_dropped(metastore_, held);
  }

 private:
  /// That the version of ROW is what has its place.
  Outcome<void> check_there(const FileRecord& row, StopToken& stop) {
    auto place = open_place(area_, stop);
    if (!place) return fail(place.error(), Origin::kDestination);
    const StagedFile file = to_staged(row);
    const auto there = (*place)->occupants(std::span(&file, 1));
    if (!there) return fail(there.error(), Origin::kDestination);
    const auto& occupant = there->front();
    if (occupant && occupant == row.identity) return {};
    return fail(make_error(ErrorKind::kFailed,
                           "{}: {} on the server ('ferry quarantine drop' takes it off the list)",
                           row.path, occupant ? "another file has its place" : "it is gone"));
  }

  Metastore& metastore_;
  const LandingArea& area_;
};

}  // namespace

std::unique_ptr<Keeper> keep_in_place(Metastore& metastore, const LandingArea& area) {
  return std::make_unique<InPlace>(metastore, area);
}

}  // namespace ferry::landing
