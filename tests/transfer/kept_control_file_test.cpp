#include "transfer/batch/kept_control_file.h"

#include <doctest/doctest.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <fstream>

#include "ferry/base/json.h"
#include "ferry/base/uuid.h"
#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  BatchInfo info{.id = "batch-1",
                 .agent = "host-1-x",
                 .destination = "b",
                 .directory = "/in",
                 .control_path = "/control/batch-1.control.json",
                 .created = parse_timestamp("2026-11-22").value(),
                 .all_or_nothing = false};
  std::unique_ptr<BatchJournal> journal = std::move(*BatchJournal::begin(folder.path(), info));

  static Checksum checksum(char digit) { return Checksum::parse(std::string(64, digit)).value(); }
  BatchJournal::Place begin(const std::string& path, std::uint64_t size,
                            std::optional<Checksum> original = {}) const {
    return journal
        ->note_begun({.id = "id of " + path,
                      .attempt = 1,
                      .remote_path = "/in/" + path,
                      .size = size,
                      .sha256 = checksum('a'),
                      .source_sha256 = original,
                      .part_path = "/in/.part"})
        .value();
  }
  void deliver(BatchJournal::Place place) const {
    REQUIRE(journal->note_end(place, {.date = now()}));
  }
  void fail(BatchJournal::Place place) const {
    REQUIRE(journal->note_end(
        place, {.date = now(), .failure = BatchFailure{.kind = "io", .message = "no"}}));
  }
  KeptControlFile keep_all(std::uint64_t count, std::uint64_t bytes) const {
    auto kept = keep_control_file(folder.path(), *journal, count, bytes, {}, StopToken());
    REQUIRE(kept);
    CHECK_FALSE(kept->signature);
    return std::move(*kept);
  }
  KeptFile keep(std::uint64_t count, std::uint64_t bytes) const {
    KeptControlFile kept = keep_all(count, bytes);
    REQUIRE(kept.list);
    return std::move(*kept.list);
  }
  /// Begins the journal anew, of a batch that asks for FORMAT.
  void ask_for(ControlFormat format) {
    journal->remove();
    info.control = format;
    journal = BatchJournal::begin(folder.path(), info).value();
  }
  static Checksum sha256(std::string_view text) {
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(text));
    return hasher.finish();
  }
  static ReceivedControlFile received(const KeptFile& kept) {
    std::ifstream stream(kept.path.native());
    const auto control = read_control_file(stream);
    REQUIRE_MESSAGE(control, control.error().message);
    return *control;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture,
                  "what was delivered is listed, in the order in which it was, and nothing else") {
  const auto a = begin("a", 5);
  const auto b = begin("sub/b", 7, checksum('b'));
  const auto moved = begin("moved", 11);
  const auto voided = begin("void", 13);
  begin("open", 17);
  const auto failed = begin("failed", 19);
  deliver(voided);
  deliver(b);
  REQUIRE(journal->note_moved(moved));
  fail(failed);
  deliver(a);
  REQUIRE(journal->note_void(voided));
  const KeptFile kept = keep(2, 12);
  CHECK(kept.path == folder / "batch-1.control.json");
  const std::string text = read_file(kept.path).value();
  INFO("what is pushed is what is there");
  CHECK(kept.size == text.size());
  CHECK(kept.sha256 == sha256(text));
  const ReceivedControlFile control = received(kept);
  CHECK(control.batch_id == "batch-1");
  CHECK(control.agent == "host-1-x");
  CHECK(control.destination == "b");
  CHECK(control.created == info.created);
  REQUIRE(control.files.size() == 2);
  CHECK(control.files[0].path == "sub/b");
  CHECK(control.files[0].id == "id of sub/b");
  CHECK(control.files[1].path == "a");
  CHECK(Json::parse(text)["files"][0]["source_checksum"] == checksum('b').to_string());
  CHECK_FALSE(Json::parse(text)["files"][1].contains("source_checksum"));
}

TEST_CASE_FIXTURE(Fixture, "an older copy is replaced, and one that is open stays what it was") {
  deliver(begin("a", 5));
  const KeptFile first = keep(1, 5);
  deliver(begin("b", 5));
  const KeptFile second = keep(2, 10);
  CHECK(first.path == second.path);
  CHECK(received(second).files.size() == 2);
  std::string text(first.size, '\0');
  REQUIRE(pread_full(first.fd.get(), std::as_writable_bytes(std::span(text)), 0, first.path));
  CHECK(sha256(text) == first.sha256);
  INFO("nothing else is left in the directory");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 2);
}

TEST_CASE_FIXTURE(Fixture, "a long list is written from the journal") {
  constexpr std::uint64_t kFiles = 5000;
  for (std::uint64_t i = 0; i < kFiles; ++i) deliver(begin(std::to_string(i), 1));
  const ReceivedControlFile control = received(keep(kFiles, kFiles));
  REQUIRE(control.files.size() == kFiles);
  CHECK(control.files.front().path == "0");
  CHECK(control.files.back().path == std::to_string(kFiles - 1));
}

TEST_CASE_FIXTURE(Fixture, "a copy that cannot be made is an error, and the older one stays") {
  deliver(begin("a", 5));
  keep(1, 5);
  REQUIRE_FALSE(keep_control_file(folder / "no such directory", *journal, 1, 5, {}, StopToken()));
  INFO("nor is anything left of one that was given up half-way");
  deliver(begin("b", 5));
  const std::string path = (folder / "batch-1.journal").string();
  const auto size = fs::file_size(path);
  fs::resize_file(path, size - 10);
  REQUIRE_FALSE(keep_control_file(folder.path(), *journal, 2, 10, {}, StopToken()));
  std::ifstream stream((folder / "batch-1.control.json").native());
  CHECK(read_control_file(stream).value().files.size() == 1);
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 2);
}

TEST_CASE("copies of batches that were completed long ago are removed") {
  const testing::TemporaryDirectory folder;
  const auto put = [&](const std::string& name) { REQUIRE(replace_file(folder / name, "{}")); };
  const std::string old = "0192f0c1-7a00-7000-8000-000000000000";  // of 2024
  const std::string young = uuid_v7();
  put(old + ".control.json");
  put(young + ".control.json");
  put(old + ".journal");
  put("something else.control.json");
  CHECK(remove_old_control_files(folder.path(), now() - std::chrono::hours(24)).value() == 1);
  CHECK_FALSE(fs::exists(folder / (old + ".control.json")));
  CHECK(fs::exists(folder / (young + ".control.json")));
  CHECK(fs::exists(folder / (old + ".journal")));
  CHECK(fs::exists(folder / "something else.control.json"));
  CHECK(remove_old_control_files(folder.path(), now() - std::chrono::hours(24)).value() == 0);
  INFO("of time there is no end");
  CHECK(remove_old_control_files(folder.path(), now() + std::chrono::hours(1)).value() == 1);
  INFO("and a directory that is not there has none");
  CHECK(remove_old_control_files(folder / "none", now()).value() == 0);
}

TEST_CASE_FIXTURE(Fixture, "sums are pushed in place of JSON, which is kept all the same") {
  ask_for(ControlFormat::kSha256Sums);
  deliver(begin("sub/a b", 5));
  deliver(begin("back\\slash", 5));
  const KeptFile kept = keep(2, 10);
  CHECK(kept.path == folder / "batch-1.SHA256SUMS");
  const std::string digest = checksum('a').to_string().substr(7);
  CHECK(read_file(kept.path).value() == digest + "  sub/a b\n\\" + digest + "  back\\\\slash\n");
  CHECK(fs::exists(folder / "batch-1.control.json"));
}

TEST_CASE_FIXTURE(Fixture, "a batch without a list keeps ours") {
  ask_for(ControlFormat::kNone);
  deliver(begin("a", 5));
  CHECK_FALSE(keep_all(1, 5).list);
  CHECK(fs::exists(folder / "batch-1.control.json"));
}
