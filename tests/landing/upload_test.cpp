#include "ferry/landing/upload.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/filesystem/directory.hpp>
#include <thread>

#include <algorithm>
#include <array>

#include "landing/files.h"
#include "landing/upload/upload_journal.h"
#include "landing/watch/root.h"

using namespace ferry;
using namespace ferry::landing;
using namespace ferry::landing::test;
using metastore::FileRecord;
using metastore::FileSource;

namespace {

/// In odd pieces, to find who relies on whole ones.
Result<void> add(Upload& upload, std::string path, std::string_view text) {
  const auto file = upload.open(std::move(path));
  if (!file) return file.error().error;
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(7, text.size()))) {
    if (auto written = (*file)->write(as_bytes(text.substr(0, 7))); !written) return written;
  }
  return (*file)->finish();
}

struct Fixture {
  TemporaryDirectory dir;
  LandingArea area{.name = "in", .path = dir / "landing", .ignore = {"*.bak"}};
  StopToken stop;
  std::unique_ptr<metastore::Metastore> store;

  Fixture() {
    fs::create_directory(area.path);
    store = metastore::open_metastore((dir / "store").string(), {}).value();
  }
  std::unique_ptr<Upload> begin() {
    auto upload = Upload::begin(*store, {.area = area, .journals = dir / "uploads"}, stop);
    REQUIRE(upload);
    return std::move(*upload);
  }
  std::size_t count(const fs::path& directory) const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
  }
};

ErrorKind kind_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().kind;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "it says whose trouble an error is") {
  const auto begin_in = [&](const fs::path& journals) {
    return Upload::begin(*store, {.area = area, .journals = journals}, stop);
  };
  REQUIRE(replace_file(dir / "a file", ""));
  CHECK(begin_in(dir / "a file").error().origin == Origin::kMetastore);
  auto upload = begin();
  CHECK(upload->open("../a").error().origin == Origin::kLocal);
  REQUIRE(add(*upload, "a", "content"));
  fs::remove_all(dir / "store");
  REQUIRE(replace_file(dir / "store", ""));
  const auto committed = upload->commit();
  REQUIRE_FALSE(committed);
  CHECK(committed.error().origin == Origin::kMetastore);
  CHECK(committed.error().error.message.find("the files are in their places") == 0);
  area.path = dir / "none";
  CHECK(begin_in(dir / "uploads").error().origin == Origin::kLocal);
}

TEST_CASE_FIXTURE(Fixture, "a program places files and gets their records") {
  auto upload = begin();
  REQUIRE(add(*upload, "a/one.csv", "the first file"));
  REQUIRE(add(*upload, "two.csv", ""));
  const auto records = upload->commit();
  REQUIRE(records);
  CHECK(read_file(area.path / "a/one.csv").value() == "the first file");
  CHECK(records->at(0).path == "a/one.csv");
  CHECK(records->at(1).identity == identity(area.path / "two.csv"));
  const std::vector<std::string> two{"two.csv"};
  CHECK(store->latest("in", two)->at(0)->identity == identity(area.path / "two.csv"));
  CHECK(count(dir / "uploads") == 0);
}

TEST_CASE_FIXTURE(Fixture, "what is not committed is taken back, with its directories") {
  {
    auto upload = begin();
    REQUIRE(add(*upload, "new/deep/file", "x"));
    CHECK(count(area.path / "new/deep") == 1);
  }
  CHECK(count(area.path) == 0);
  CHECK(count(dir / "uploads") == 0);
}

TEST_CASE_FIXTURE(Fixture, "a file that is not finished keeps its upload from being committed") {
  auto upload = begin();
  REQUIRE(add(*upload, "whole", "x"));
  auto file = upload->open("half");
  REQUIRE(file);
  REQUIRE((*file)->write(as_bytes("y")));
  CHECK(upload->commit().error().error.kind == ErrorKind::kInvalid);
  file->reset();
  upload.reset();
  CHECK(count(area.path) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a stop ends an upload between two pieces of a file") {
  auto upload = begin();
  const auto file = upload->open("file");
  REQUIRE(file);
  REQUIRE((*file)->write(as_bytes("x")));
  stop.request_stop();
  CHECK(kind_of((*file)->write(as_bytes("y"))) == ErrorKind::kCancelled);
}

TEST_CASE_FIXTURE(Fixture, "all checksums that are expected are compared") {
  auto upload = begin();
  const std::array also{HashAlgorithm::kSha512};
  const auto digest = [](HashAlgorithm algorithm, std::string_view text) {
    Hasher hasher(algorithm);
    hasher.update(as_bytes(text));
    return hasher.finish();
  };
  const auto sha256 = digest(HashAlgorithm::kSha256, "x");
  const auto finish = [&](const char* path, Checksum one, Checksum two) {
    const auto file = upload->open(path, also);
    REQUIRE(file);
    REQUIRE((*file)->write(as_bytes("x")));
    return (*file)->finish(std::array{one, two});
  };
  CHECK(finish("a", sha256, digest(HashAlgorithm::kSha512, "x")));
  CHECK(kind_of(finish("b", sha256, digest(HashAlgorithm::kSha512, "y"))) == ErrorKind::kAbnormal);
  CHECK(kind_of(finish("c", digest(HashAlgorithm::kSha256, "y"), sha256)) == ErrorKind::kAbnormal);
  CHECK(kind_of(finish("d", sha256, digest(HashAlgorithm::kMd5, "x"))) == ErrorKind::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "names are checked against the area") {
  CHECK(check_upload_path(area, "a/b c.csv"));
  for (const char* path : {"", "/a", "a/", "a//b", "..", "a/../b", ".a", "a/.b/c", "a.part",
                           "x.bak", "bad\xff", "new\nline"}) {
    CAPTURE(path);
    CHECK(kind_of(check_upload_path(area, path)) == ErrorKind::kInvalid);
  }
  auto upload = begin();
  REQUIRE(add(*upload, "same", "x"));
  CHECK(kind_of(add(*upload, "same", "y")) == ErrorKind::kInvalid);
}

TEST_CASE_FIXTURE(Fixture, "a file that a watcher registered first is known as an upload") {
  put(area.path / "file", "content");
  FileRecord seen;
  seen.path = "file";
  seen.landing = "in";
  seen.identity = identity(area.path / "file");
  seen.checksum = Checksum::parse(std::string(64, 'a')).value();
  seen.source = FileSource::kWatch;
  FileRecord brought = seen;
  brought.source = FileSource::kUpload;
  const auto first = store->register_files({seen}).value();
  const auto second = store->register_files({brought}).value();
  const auto third = store->register_files({seen}).value();
  CHECK(second[0].id == first[0].id);
  CHECK(third[0].outcome == metastore::Registration::Outcome::kDuplicate);
  const auto history = store->history(first[0].id)->at(0);
  REQUIRE(history.file.size() == 2);
  CHECK(history.file.back().source == FileSource::kUpload);
}

namespace {

/// An upload of "x.csv" that was decided, and whose process died before all was done.
struct Cut : Fixture {
  const std::string temporary = ".upload-dead.part";

  Cut() { fs::create_directory(dir / "uploads"); }

  void put(const std::string& name, std::string_view content) {
    REQUIRE(replace_file(area.path / name, content, 0644));
  }
  std::string content(const std::string& name) { return read_file(area.path / name).value(); }
  StagedFile staged(const FileIdentity& identity) {
    return {.path = "x.csv",
            .temporary = temporary,
            .identity = identity,
            .sha256 = Checksum::parse("sha256:" + std::string(64, 'a')).value()};
  }
  void note(const StagedFile& file) {
    auto journal = UploadJournal::create(dir / "uploads", area.name, area.path.string(),
                                         Root::find(area.path)->inode());
    REQUIRE(journal);
    REQUIRE(journal->note_temporary(file.temporary));
    REQUIRE(journal->note_commit(std::span(&file, 1), false));
  }
  UploadRecovery recover() {
    const auto recovery = recover_uploads(*store, std::span(&area, 1), dir / "uploads", stop);
    REQUIRE(recovery);
    CHECK(count(dir / "uploads") == 0);
    CHECK_FALSE(fs::exists(area.path / temporary));
    return *recovery;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Cut, "what a dead upload had replaced is not put back") {
  put("x.csv", "dead upload's");
  StagedFile file = staged(identity(area.path / "x.csv"));
  put(temporary, "what it replaced");
  SUBCASE("while its file is there") {
    note(file);
    CHECK(recover().registered == 1);
    CHECK(content("x.csv") == "dead upload's");
  }
  SUBCASE("over what came since") {
    put("x.csv", "newer");
    note(file);
    CHECK(recover().registered == 0);
    CHECK(content("x.csv") == "newer");
  }
  SUBCASE("when its file has been taken away") {
    fs::remove(area.path / "x.csv");
    note(file);
    CHECK(recover().registered == 0);
    CHECK_FALSE(fs::exists(area.path / "x.csv"));
  }
}

TEST_CASE_FIXTURE(Cut, "a dead upload gets its name unless something newer has it") {
  put(temporary, "dead upload's");
  StagedFile file = staged(identity(area.path / temporary));
  SUBCASE("of nobody") {
    note(file);
    CHECK(recover().registered == 1);
    CHECK(content("x.csv") == "dead upload's");
  }
  SUBCASE("of what it was to replace") {
    put("x.csv", "older");
    file.replaces = identity(area.path / "x.csv");
    note(file);
    CHECK(recover().registered == 1);
    CHECK(content("x.csv") == "dead upload's");
  }
  SUBCASE("of a file that was not there when it was decided") {
    put("x.csv", "newer");
    note(file);
    CHECK(recover().registered == 0);
    CHECK(content("x.csv") == "newer");
  }
  SUBCASE("of a file that took the place of the one that it was to replace") {
    put("x.csv", "older");
    file.replaces = identity(area.path / "x.csv");
    put("x.csv", "newer!");
    note(file);
    CHECK(recover().registered == 0);
    CHECK(content("x.csv") == "newer!");
  }
}

TEST_CASE_FIXTURE(Cut, "a dead upload waits until its landing area is back") {
  put(temporary, "dead upload's");
  note(staged(identity(area.path / temporary)));
  const auto settled = [&] {
    return recover_uploads(*store, std::span(&area, 1), dir / "uploads", stop);
  };
  const fs::path away = dir / "away";
  fs::rename(area.path, away);
  SUBCASE("from where it was") {
    CHECK(settled());
    CHECK(count(dir / "uploads") == 1);
  }
  SUBCASE("from behind another directory") {
    fs::create_directory(area.path);
    CHECK(settled());
    CHECK(count(dir / "uploads") == 1);
    fs::remove(area.path);
  }
  fs::rename(away, area.path);
  CHECK(recover().registered == 1);
  CHECK(content("x.csv") == "dead upload's");
}

TEST_CASE_FIXTURE(Fixture, "a name or size that the area refuses is refused before it is read") {
  area.acceptance.extensions = {"csv"};
  area.acceptance.max_size = 10;
  CHECK(check_announced(area, "a.txt", std::nullopt).error().kind == ErrorKind::kAbnormal);
  CHECK(check_announced(area, "a.csv", 11).error().kind == ErrorKind::kAbnormal);
  CHECK(check_announced(area, "a.csv", 10));
  auto upload = begin();
  CHECK(upload->open("a.txt").error().error.kind == ErrorKind::kAbnormal);
  const auto file = upload->open("a.csv").value();
  const std::vector<std::byte> block(10);
  CHECK(file->write(block));
  CHECK(file->write(block).error().kind == ErrorKind::kAbnormal);
}

TEST_CASE_FIXTURE(Fixture, "an upload makes a bounded number of directories") {
  const auto beneath = [](int directories) {
    std::string path;
    for (int i = 0; i < directories; ++i) path += "d/";
    return path + "a";
  };
  CHECK(check_upload_path(area, beneath(64)));
  CHECK(check_upload_path(area, beneath(65)).error().kind == ErrorKind::kInvalid);
}

TEST_CASE_FIXTURE(Fixture,
                  "the last of many uploads of one path is the one that the registry has") {
  constexpr int kRounds = 40;
  std::vector<std::thread> uploads;
  std::atomic<int> failures = 0;
  for (int thread = 0; thread < 6; ++thread) {
    uploads.emplace_back([&, thread] {
      for (int round = 0; round < kRounds; ++round) {
        auto upload = begin();
        const std::string content = std::string(static_cast<std::size_t>(thread + 1), 'x');
        if (!add(*upload, "x.csv", content) || !upload->commit()) ++failures;
      }
    });
  }
  for (std::thread& one : uploads) one.join();
  CHECK(failures == 0);
  const std::vector<std::string> path{"x.csv"};
  CHECK(store->latest("in", path)->at(0)->identity == identity(area.path / "x.csv"));
}

TEST_CASE("a journal is read up to the line that a crash tore") {
  const std::string header = R"({"landing":"in","place":"/srv/in"})"
                             "\n";
  const std::string temporary = R"({"temporary":"a/.upload-1.part"})"
                                "\n";
  const std::string commit =
      R"({"no_clobber":true,"commit":[{"path":"a/b","temporary":"a/.upload-1.part","checksum":")" +
      std::string(64, '0') +
      R"(","device":1,"inode":2,"size":3,"mtime_ns":4,"ctime_ns":5}]})"
      "\n";
  const std::string all = header + temporary + commit;
  for (std::size_t size = 0; size < all.size(); ++size) {
    const UploadPlan plan = parse_upload_plan(std::string_view(all).substr(0, size));
    CHECK_FALSE(plan.committed);
    CHECK(plan.temporaries.size() == (size < header.size() + temporary.size() ? 0 : 1));
  }
  const UploadPlan plan = parse_upload_plan(all);
  REQUIRE(plan.committed);
  CHECK(plan.place == "/srv/in");
  CHECK(plan.no_clobber);
  CHECK(plan.committed->at(0).path == "a/b");
  CHECK(plan.committed->at(0).identity == FileIdentity{1, 2, 3, 4, 5});
}
