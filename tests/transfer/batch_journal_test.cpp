#include "transfer/batch/batch_journal.h"

#include <doctest/doctest.h>

#include <atomic>
#include <boost/filesystem/operations.hpp>
#include <thread>

#include "temporary_directory.h"

using namespace ferry;
using namespace ferry::transfer;
using Place = BatchJournal::Place;

namespace {

struct Fixture {
  testing::TemporaryDirectory folder;
  BatchInfo info{.id = "01a20397-e798-7185-94e7-95d5f7670085",
                 .agent = "host-1-2",
                 .destination = "b",
                 .directory = "/in",
                 .control_path = "/in/c.control.json",
                 .created = Timestamp(std::chrono::milliseconds(1'700'000'000'123))};
  std::unique_ptr<BatchJournal> journal = std::move(*BatchJournal::begin(folder.path(), info));

  static BatchFile file(const std::string& id) {
    return {.id = id,
            .attempt = 2,
            .remote_path = "/in/" + id,
            .size = 7,
            .sha256 = Checksum::parse(std::string(64, 'a')).value(),
            .source_sha256 = {},
            .part_path = "/in/." + id + ".part"};
  }
  Place begun(const std::string& id) { return journal->note_begun(file(id)).value(); }
  static BatchEnd end(std::optional<BatchFailure> failure = {}) {
    return {.date = Timestamp(std::chrono::milliseconds(1'700'000'001'000)),
            .duration = std::chrono::milliseconds(12),
            .failure = std::move(failure)};
  }
  static BatchFailure failure() {
    return {.kind = "denied", .message = "no \"way\"\n", .retryable = true, .refused_here = true};
  }
  fs::path path() const { return folder.path() / (info.id + ".journal"); }
  /// As the next agent sees it, whatever there is.
  void die_and_be_found() {
    journal.reset();
    auto found = BatchJournal::take_over(path());
    REQUIRE(found);
    REQUIRE(*found);
    journal = std::move(*found);
  }
  std::string ended() const {
    std::string text;
    CHECK(journal->visit_ended([&](const BatchFile& one, const BatchEnd& how) {
      text += one.id + (how.failure ? "-" : "+");
      return Result<void>();
    }));
    return text;
  }
  std::string open() const {
    std::string text;
    const auto marks = journal->marks().value();
    CHECK(journal->visit_begun(0, [&](Place place, const BatchFile& one) {
      if (marks.is_open(place)) text += one.id;
      return true;
    }));
    return text;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what was noted is there for whoever comes after a death") {
  const Place a = begun("a");
  const Place b = begun("b");
  begun("c");
  REQUIRE(journal->note_end(b, end(failure())));
  REQUIRE(journal->note_end(a, end()));
  REQUIRE(journal->note_end(file("d"), end(failure())));
  die_and_be_found();
  CHECK(journal->info() == info);
  CHECK(ended() == "b-a+d-");
  CHECK(open() == "c");
  CHECK(journal->visit_ended([&](const BatchFile& one, const BatchEnd& how) {
    CHECK(one == file(one.id));
    CHECK(how.date == end().date);
    CHECK(how.duration == end().duration);
    if (how.failure) CHECK(*how.failure == failure());
    return Result<void>();
  }));
}

TEST_CASE_FIXTURE(Fixture, "what was noted is synced when somebody asked for it, and not before") {
  begun("a");
  const Place after_a = journal->end();
  CHECK_FALSE(journal->is_synced(after_a));
  REQUIRE(journal->sync());
  CHECK(journal->is_synced(after_a));
  begun("b");
  CHECK(journal->is_synced(after_a));
  CHECK_FALSE(journal->is_synced(journal->end()));
}

TEST_CASE_FIXTURE(Fixture, "a transform's source checksum is kept") {
  BatchFile transformed = file("a");
  transformed.source_sha256 = Checksum::parse(std::string(64, 'b')).value();
  REQUIRE(journal->note_end(journal->note_begun(transformed).value(), end()));
  die_and_be_found();
  CHECK(journal->visit_ended([&](const BatchFile& one, const BatchEnd&) {
    CHECK(one == transformed);
    return Result<void>();
  }));
}

TEST_CASE_FIXTURE(Fixture, "a journal belongs to its agent for as long as that lives") {
  CHECK(BatchJournal::take_over(path()).value() == nullptr);
  CHECK(BatchJournal::find(folder.path()).value() == std::vector<fs::path>{path()});
  const auto journal_of_nobody = BatchJournal::take_over(folder.path() / "none.journal");
  CHECK(journal_of_nobody.value() == nullptr);
  journal->remove();
  CHECK(BatchJournal::find(folder.path()).value().empty());
  CHECK(BatchJournal::find(folder.path() / "no such directory").value().empty());
}

TEST_CASE_FIXTURE(Fixture, "all part files of a file are known") {
  const Place a = begun("a");
  REQUIRE(journal->note_part(a, "/in/.a.2.part"));
  REQUIRE(journal->note_part(a, "/in/.a.3.part"));
  die_and_be_found();
  const auto marks = journal->marks().value();
  CHECK(marks.more_parts.count(a) == 2);
  CHECK(std::prev(marks.more_parts.end())->second == "/in/.a.3.part");
}

TEST_CASE_FIXTURE(Fixture,
                  "what goes on in another batch, or was not there after all, is not ours") {
  const Place a = begun("a");
  const Place b = begun("b");
  REQUIRE(journal->note_end(b, end()));
  REQUIRE(journal->note_moved(a));
  CHECK(ended() == "b+");
  CHECK(open().empty());
  REQUIRE(journal->note_void(b));
  die_and_be_found();
  CHECK(ended().empty());
  CHECK(open() == "b");
}

TEST_CASE_FIXTURE(Fixture, "what has been done of its end is known") {
  CHECK_FALSE(journal->are_failures_recorded());
  CHECK_FALSE(journal->is_pushed());
  CHECK_FALSE(journal->is_naming());
  REQUIRE(journal->note_failures_recorded());
  REQUIRE(journal->note_pushed());
  REQUIRE(journal->note_naming());
  for (int i = 0; i < 2; ++i) {
    CHECK(journal->are_failures_recorded());
    CHECK(journal->is_pushed());
    CHECK(journal->is_naming());
    die_and_be_found();
  }
}

TEST_CASE_FIXTURE(Fixture, "a journal that is cut anywhere tells of what was noted until then") {
  const Place a = begun("a");
  REQUIRE(journal->note_end(a, end()));
  const Place b = begun("b");
  REQUIRE(journal->note_end(b, end()));
  journal.reset();
  const std::string whole = read_file(path()).value();
  const std::size_t header = whole.find('\n') + 1;
  std::string before;
  for (std::size_t size = header; size <= whole.size(); ++size) {
    REQUIRE(replace_file(path(), whole.substr(0, size)));
    journal = std::move(*BatchJournal::take_over(path()));
    REQUIRE(journal);
    const std::string now_ended = ended();
    CHECK(now_ended.starts_with(before));
    before = now_ended;
    INFO("and what is noted from there on is not glued to the rest");
    const Place c = begun("c");
    REQUIRE(journal->note_end(c, end()));
    CHECK(ended() == before + "c+");
    journal.reset();
  }
  CHECK(before == "a+b+");
}

TEST_CASE_FIXTURE(Fixture, "what a power cut left of a tail does not cost what is before it") {
  REQUIRE(journal->note_end(begun("a"), end()));
  journal.reset();
  const std::string whole = read_file(path()).value();
  SUBCASE("a few blocks that were never written") {
    REQUIRE(replace_file(path(), whole + std::string(5000, '\0')));
  }
  SUBCASE("a line without an end") {
    REQUIRE(replace_file(path(), whole + R"({"event":"begun","id":")" + std::string(5000, 'x')));
  }
  die_and_be_found();
  CHECK(ended() == "a+");
  CHECK(fs::file_size(path()) == whole.size());
}

TEST_CASE_FIXTURE(Fixture, "nor a long one") {
  REQUIRE(journal->note_end(begun("a"), end()));
  journal.reset();
  REQUIRE(replace_file(path(), read_file(path()).value() + std::string(100'000, '\0')));
  auto found = BatchJournal::take_over(path());
  REQUIRE(found);
  CHECK(fs::exists(path()));
  REQUIRE(*found);
  journal = std::move(*found);
  CHECK(ended() == "a+");
}

TEST_CASE_FIXTURE(Fixture, "a journal whose first line is not whole tells of nothing begun") {
  journal.reset();
  REQUIRE(replace_file(path(), R"({"version":1,"batch":"01)"));
  const auto found = BatchJournal::take_over(path());
  REQUIRE(found);
  CHECK(*found == nullptr);
  INFO("and has gone");
  CHECK_FALSE(fs::exists(path()));
}

TEST_CASE_FIXTURE(Fixture, "what is no journal is not believed") {
  journal.reset();
  for (const char* text : {"{}\n", "rubbish\n", "{\"event\":\"batch\",\"version\":2}\n"}) {
    REQUIRE(replace_file(path(), text));
    const auto found = BatchJournal::take_over(path());
    REQUIRE_FALSE(found);
    CHECK(found.error().kind == ErrorKind::kCorrupt);
    CHECK(fs::exists(path()));
  }
}

TEST_CASE_FIXTURE(Fixture, "visiting goes on from where it was left") {
  std::vector<Place> places;
  for (int i = 0; i < 1000; ++i) places.push_back(begun(std::to_string(i)));
  std::vector<std::string> seen;
  CHECK(journal->visit_begun(places[500], [&](Place, const BatchFile& one) {
    seen.push_back(one.id);
    return seen.size() < 3;
  }));
  CHECK(seen == std::vector<std::string>{"500", "501", "502"});
}

TEST_CASE_FIXTURE(Fixture, "whether a batch has a journal can be told by its id") {
  CHECK(BatchJournal::exists(folder.path(), info.id));
  CHECK_FALSE(BatchJournal::exists(folder.path(), "another"));
  CHECK_FALSE(BatchJournal::exists(folder / "no such directory", info.id));
  INFO("ids of foreign rows may be anything");
  CHECK_FALSE(BatchJournal::exists(folder.path(), ""));
  CHECK_FALSE(BatchJournal::exists(folder.path(),
                                   "../" + folder.path().filename().string() + "/" + info.id));
  journal->remove();
  CHECK_FALSE(BatchJournal::exists(folder.path(), info.id));
}

TEST_CASE_FIXTURE(Fixture, "nobody can take over a journal that is just being begun") {
  std::atomic<bool> is_over = false;
  std::jthread other([&] {
    while (!is_over) {
      const auto files = BatchJournal::find(folder.path()).value();
      for (const fs::path& file : files) {
        CHECK(BatchJournal::take_over(file).value_or(nullptr) == nullptr);
      }
    }
  });
  journal->remove();
  for (int i = 0; i < 2000; ++i) {
    info.id = std::to_string(i);
    const auto begun = BatchJournal::begin(folder.path(), info);
    CHECK(begun);
    if (!begun) break;
    CHECK((*begun)->note_begun(file("a")));
    const bool is_there = fs::exists(path()) && fs::file_size(path()) > 0;
    CHECK(is_there);
    (*begun)->remove();
    if (!is_there) break;
  }
  is_over = true;
}

TEST_CASE_FIXTURE(Fixture, "what was skipped has ended, and was neither delivered nor failed") {
  BatchFile one = file("a");
  one.if_exists = IfExists::kVersion;
  const Place place = journal->note_begun(one).value();
  BatchEnd skipped = end();
  skipped.is_skipped = true;
  REQUIRE(journal->note_end(place, skipped));
  REQUIRE(journal->note_end(file("b"), skipped));
  die_and_be_found();
  CHECK(open().empty());
  std::size_t seen = 0;
  CHECK(journal->visit_ended([&](const BatchFile&, const BatchEnd& how) {
    CHECK(how.is_skipped);
    CHECK_FALSE(how.is_delivery());
    ++seen;
    return Result<void>();
  }));
  CHECK(seen == 2);
  CHECK(journal->visit_begun(0, [&](Place, const BatchFile& found) {
    CHECK(found == one);
    return true;
  }));
}
