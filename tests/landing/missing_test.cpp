#include "landing/watch/missing.h"

#include <doctest/doctest.h>

#include "landing/fake_metastore.h"
#include "landing/files.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;

namespace {

struct Registry {
  TemporaryDirectory dir;
  FakeMetastore store;
  Pulse pulse;
  std::uint64_t device = identity(dir.path()).device;

  void knows(const std::string& path, std::optional<std::uint64_t> on_device = std::nullopt,
             metastore::FileState state = metastore::FileState::kReady,
             const std::string& landing = "in") {
    metastore::FileRecord row;
    row.id = path;
    row.path = path;
    row.landing = landing;
    row.state = state;
    row.identity = FileIdentity{.device = on_device.value_or(device)};
    (void)store.import_files({row});
  }
  std::vector<std::string> missing(std::vector<std::string> below = {""}) {
    return find_missing(store, "in", *Root::find(dir.path()), std::move(below), pulse).value();
  }
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Registry, "a ready file that is not there is missing") {
  put(dir / "there", "x");
  knows("there");
  knows("gone");
  knows("gone-directory/file");
  CHECK(missing() == Paths{"gone", "gone-directory/file"});
}

TEST_CASE_FIXTURE(Registry, "only what is asked for is checked") {
  knows("a/gone");
  knows("b/gone");
  CHECK(missing({"b"}) == Paths{"b/gone"});
}

TEST_CASE_FIXTURE(Registry, "other landing areas and other states are left alone") {
  knows("other", {}, metastore::FileState::kReady, "elsewhere");
  knows("superseded", {}, metastore::FileState::kSuperseded);
  CHECK(missing().empty());
}

TEST_CASE_FIXTURE(Registry, "the latest version of a path has the last word") {
  knows("a");
  knows("a", {}, metastore::FileState::kMissing);
  CHECK(missing().empty());
}

TEST_CASE_FIXTURE(Registry, "a file of a file system that is not mounted is not missing") {
  knows("gone", device + 1);
  CHECK(missing().empty());
}

TEST_CASE_FIXTURE(Registry, "where the root is another directory, nothing is missing") {
  knows("gone");
  const fs::path area = dir / "area";
  fs::create_directory(area);
  const auto root = Root::find(area);
  fs::rename(area, dir / "moved");
  CHECK(find_missing(store, "in", *root, {""}, pulse).value().empty());
}
