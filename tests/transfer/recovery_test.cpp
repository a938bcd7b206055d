// What is made of batches whose agent has died, against a real OpenSSH server and a real metastore.
#include "transfer/batch/recovery.h"

#include <algorithm>
#include <thread>

#include "ferry/base/uuid.h"
#include "transfer/agent_fixture.h"
#include "transfer/batch/batch_journal.h"
#include "transfer/deliver/journal.h"
#include "transfer/naming/remote_path.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;
using Place = BatchJournal::Place;

namespace {

/// An agent that delivers by hand, as far as the test wants it to, and dies.
struct Fixture : AgentFixture {
  std::string batch_id = uuid_v7();
  std::map<std::string, std::string> ids;  // by path
  std::unique_ptr<metastore::AgentPresence> agent = std::move(*store->join());
  std::unique_ptr<BatchJournal> journal;

  std::string register_file(const std::string& path, const std::string& content) {
    return ids[path] = land_and_register(path, content);
  }
  Sidecar sidecar = Sidecar::kNone;  // of the dead agent's batch
  std::string control_path() const { return remote(batch_id + ".control.json").string(); }

  void claim(const std::vector<std::string>& paths, bool all_or_nothing = false) {
    metastore::ClaimRequest request{
        .destination = destination.name, .batch_id = batch_id, .agent = agent->name()};
    for (const std::string& path : paths) request.ids.push_back(ids.at(path));
    REQUIRE(store->claim(request)->size() == paths.size());
    begin_journal(all_or_nothing);
  }
  void begin_journal(bool all_or_nothing) {
    auto begun = BatchJournal::begin(options.control_files, {.id = batch_id,
                                                             .agent = agent->name(),
                                                             .destination = destination.name,
                                                             .directory = destination.directory,
                                                             .control_path = control_path(),
                                                             .created = now(),
                                                             .all_or_nothing = all_or_nothing,
                                                             .control = ControlFormat::kJson,
                                                             .sidecar = sidecar});
    REQUIRE(begun);
    journal = std::move(*begun);
  }
  std::string part_of(const std::string& path, unsigned n = 0) const {
    return part_path(remote(path).string(), part_token(batch_id, ids.at(path), n));
  }
  std::string aside_of(const std::string& path) const {
    return aside_path(remote(path).string(), part_token(batch_id, ids.at(path), 0));
  }
  Place begin(const std::string& path, const std::string& content) const {
    const auto place = journal->note_begun({.id = ids.at(path),
                                            .attempt = 1,
                                            .remote_path = remote(path).string(),
                                            .size = content.size(),
                                            .sha256 = sha256(content),
                                            .source_sha256 = {},
                                            .part_path = part_of(path)});
    REQUIRE(place);
    return *place;
  }
  void end(Place place, std::optional<BatchFailure> failure = {}) const {
    REQUIRE(journal->note_end(place, {.date = now(), .failure = std::move(failure)}));
  }
  void die() {
    journal.reset();
    agent.reset();
  }
  fs::path journal_path() const { return options.control_files / (batch_id + ".journal"); }

  std::vector<metastore::TransferRecord> rows_of(const std::string& path) {
    return store->history(ids.at(path))->at(0).transfers;
  }
  void check_no_part_is_left() const {
    for (const std::string& name : names_at_destination()) CHECK_FALSE(name.ends_with(".part"));
  }
  void empty_the_server() const {
    for (const auto& entry : fs::directory_iterator(server.root())) fs::remove_all(entry.path());
  }
};

using Paths = std::vector<std::string>;

}  // namespace

// What is under its final name.

TEST_CASE_FIXTURE(Fixture,
                  "what a dead agent delivered is listed and recorded, and not sent again") {
  register_file("in/a", "hello");
  claim({"in/a"});
  const Place place = begin("in/a", "hello");
  REQUIRE(make_directories(remote("in")));
  REQUIRE(replace_file(remote("in/a"), "hello"));
  SUBCASE("it has noted that") {
    end(place);
  }
  SUBCASE("it died before it heard of it") {}
  const std::string dead = agent->name();
  die();
  const auto summary = run();
  const BatchSummary& batch = only_batch(summary);
  CHECK(batch.id == batch_id);
  CHECK(batch.control_file == control_path());
  CHECK(batch.successful == 1);
  CHECK(batch.bytes == 5);
  CHECK(listed_in(control_path()) == Paths{"in/a"});
  CHECK(Json::parse(read_file(control_path()).value())["agent"] == dead);
  CHECK(recorder.bytes == 0);
  CHECK(recorder.delivered == std::set<std::string>{"in/a"});
  const auto rows = rows_of("in/a");
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].status == TransferStatus::kSuccessful);
  CHECK(rows[1].batch_id == batch_id);
  CHECK(rows[1].agent == dead);
  CHECK(rows[1].bytes == 5);
  CHECK(rows[1].checksum == sha256("hello"));
  CHECK_FALSE(fs::exists(journal_path()));
  INFO("and with that it is done");
  CHECK(run()->batches.empty());
}

TEST_CASE_FIXTURE(Fixture, "what it had not begun is delivered in a batch of its own") {
  register_file("a", "hello");
  register_file("b", "other");
  register_file("c", "third");
  claim({"a", "b"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 3);
  REQUIRE(summary->batches.size() == 2);
  CHECK(listed_in(control_path()) == Paths{"a"});
  Paths others = listed_in(summary->batches[1].control_file);
  std::ranges::sort(others);
  CHECK(others == Paths{"b", "c"});
  CHECK(recorder.bytes == 10);
}

TEST_CASE_FIXTURE(Fixture,
                  "a file whose rename was not asked for is sent again, and its part goes") {
  register_file("a", "hello");
  claim({"a"});
  const Place place = begin("a", "hello");
  REQUIRE(journal->note_part(place, part_of("a", 1)));
  REQUIRE(replace_file(part_of("a"), "he"));
  REQUIRE(replace_file(part_of("a", 1), "hello"));
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id != batch_id);
  CHECK(read_file(remote("a")).value() == "hello");
  CHECK_FALSE(fs::exists(control_path()));
  CHECK_FALSE(fs::exists(journal_path()));
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(Fixture,
                  "what is not at the server any more is sent again, whatever the journal says") {
  register_file("a", "hello");
  register_file("b", "other");
  claim({"a", "b"});
  end(begin("a", "hello"));
  end(begin("b", "other"));
  REQUIRE(replace_file(remote("b"), "other"));
  SUBCASE("the server is a new one") {}
  SUBCASE("what is there is of another size") {
    REQUIRE(replace_file(remote("a"), "hell"));
  }
  SUBCASE("what is there has other bytes, and these are looked at") {
    options.verify = Verify::kReadback;
    REQUIRE(replace_file(remote("a"), "HELLO"));
  }
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 2);
  REQUIRE(summary->batches.size() == 2);
  CHECK(listed_in(control_path()) == Paths{"b"});
  CHECK(listed_in(summary->batches[1].control_file) == Paths{"a"});
  CHECK(read_file(remote("a")).value() == "hello");
  CHECK(rows_of("a").back().batch_id == summary->batches[1].id);
  CHECK(rows_of("b").back().batch_id == batch_id);
}

TEST_CASE_FIXTURE(
    Fixture, "an older file of the same name and size is not taken for the one that was sent") {
  register_file("a", "hello");
  claim({"a"});
  begin("a", "hello");
  REQUIRE(replace_file(remote("a"), "older"));
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id != batch_id);
  CHECK(read_file(remote("a")).value() == "hello");
  CHECK_FALSE(fs::exists(control_path()));
}

TEST_CASE_FIXTURE(Fixture, "a batch of which nothing was delivered gets no control file") {
  register_file("a", "hello");
  claim({"a"});
  SUBCASE("nothing was begun") {}
  SUBCASE("the server is a new one") {
    end(begin("a", "hello"));
  }
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id != batch_id);
  CHECK_FALSE(fs::exists(control_path()));
  CHECK_FALSE(fs::exists(journal_path()));
}

// What had failed.

TEST_CASE_FIXTURE(Fixture, "what had failed is recorded, once, and tried again") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"),
      BatchFailure{.kind = "io", .message = "the disk is tired", .retryable = true});
  std::size_t rows = 4;
  SUBCASE("it had not been recorded") {}
  SUBCASE("it had been") {
    REQUIRE(journal->note_failures_recorded());
    rows = 3;
  }
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(read_file(remote("a")).value() == "hello");
  const auto found = rows_of("a");
  REQUIRE(found.size() == rows);
  if (rows == 4) {
    CHECK(found[1].status == TransferStatus::kFailed);
    CHECK(found[1].error->message == "the disk is tired");
    CHECK(found[1].batch_id == batch_id);
  }
  CHECK(found.back().status == TransferStatus::kSuccessful);
}

// The control file.

TEST_CASE_FIXTURE(
    Fixture, "what was listed is recorded, and the control file stays as the receiver found it") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(journal->note_pushed());
  INFO("the receiver has taken both away");
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id == batch_id);
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
  CHECK(names_at_destination().empty());
  CHECK_FALSE(fs::exists(journal_path()));
}

TEST_CASE_FIXTURE(Fixture,
                  "sidecars are pushed as the batch asks for, and no part of them is left") {
  sidecar = Sidecar::kSha256;
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  const std::string later_part =
      part_path(remote("a.sha256").string(), part_token(batch_id, ids.at("a"), 2));
  REQUIRE(replace_file(later_part, "half"));
  die();
  CHECK(only_batch(run()).successful == 1);
  CHECK(read_file(remote("a.sha256")).value() == sha256("hello").to_hex() + "  a\n");
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(Fixture, "a control file that may be there already is pushed again") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  REQUIRE(replace_file(control_path(), "half of a contr"));
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(listed_in(control_path()) == Paths{"a"});
}

TEST_CASE_FIXTURE(Fixture, "part files of pushes are removed") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  for (unsigned n = 0; n < 2; ++n) {
    REQUIRE(replace_file(part_path(control_path(), part_token(batch_id, batch_id, n)), "{"));
  }
  die();
  CHECK(only_batch(run()).id == batch_id);
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(Fixture, "part files of pushes are removed, whichever of them are there") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  INFO("the first connection ended before it had made one");
  REQUIRE(replace_file(part_path(control_path(), part_token(batch_id, batch_id, 1)), "{"));
  die();
  CHECK(only_batch(run()).id == batch_id);
  check_no_part_is_left();
}

// Whose batch it is.

TEST_CASE_FIXTURE(Fixture, "the batch of a running agent is left alone") {
  register_file("a", "hello");
  register_file("b", "other");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  const auto summary = run();
  CHECK(listed_in(only_batch(summary).control_file) == Paths{"b"});
  CHECK(fs::exists(journal_path()));
  CHECK_FALSE(fs::exists(control_path()));
  CHECK(statuses()["a"] == TransferStatus::kInProgress);
}

TEST_CASE_FIXTURE(Fixture, "what goes on in a later batch is that batch's") {
  register_file("a", "hello");
  register_file("large", "large");
  claim({"a", "large"});
  end(begin("a", "hello"));
  const Place moved = begin("large", "large");
  REQUIRE(journal->note_moved(moved));
  REQUIRE(replace_file(remote("a"), "hello"));
  const std::string first_control = control_path();
  auto first_journal = std::move(journal);
  const std::string part = part_of("large");
  batch_id = uuid_v7();
  begin_journal(false);
  end(journal
          ->note_begun({.id = ids.at("large"),
                        .attempt = 1,
                        .remote_path = remote("large").string(),
                        .size = 5,
                        .sha256 = sha256("large"),
                        .source_sha256 = {},
                        .part_path = part})
          .value());
  REQUIRE(replace_file(remote("large"), "large"));
  first_journal.reset();
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->batches.size() == 2);
  CHECK(listed_in(first_control) == Paths{"a"});
  CHECK(listed_in(control_path()) == Paths{"large"});
  CHECK(recorder.bytes == 0);
  CHECK(rows_of("large").back().batch_id == batch_id);
}

TEST_CASE_FIXTURE(Fixture,
                  "a journal that cannot be read is left alone, and what it may speak of too") {
  register_file("a", "hello");
  register_file("b", "other");
  claim({"a"});
  die();
  REQUIRE(replace_file(journal_path(), "rubbish\n"));
  const auto summary = run();
  CHECK(listed_in(only_batch(summary).control_file) == Paths{"b"});
  CHECK_FALSE(fs::exists(remote("a")));
  CHECK(read_file(journal_path()).value() == "rubbish\n");
  INFO("until somebody has looked at it");
  fs::remove(journal_path());
  CHECK(listed_in(only_batch(run()).control_file) == Paths{"a"});
}

TEST_CASE_FIXTURE(Fixture, "a journal whose last line is torn is completed as far as it goes") {
  register_file("a", "hello");
  register_file("b", "other");
  claim({"a", "b"});
  end(begin("a", "hello"));
  const Place b = begin("b", "other");
  REQUIRE(replace_file(remote("a"), "hello"));
  REQUIRE(replace_file(remote("b"), "other"));
  end(b);
  die();
  const auto size = fs::file_size(journal_path());
  SUBCASE("in the end of a file") {
    fs::resize_file(journal_path(), size - 9);
  }
  SUBCASE("in its beginning") {
    fs::resize_file(journal_path(), b + 20);
  }
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 2);
  CHECK(statuses()["a"] == TransferStatus::kSuccessful);
  CHECK(statuses()["b"] == TransferStatus::kSuccessful);
  CHECK(rows_of("a").back().batch_id == batch_id);
}

TEST_CASE_FIXTURE(Fixture, "two agents that find a dead one's batch complete it once") {
  for (int i = 0; i < 20; ++i) register_file("f" + std::to_string(i), "hello");
  Paths paths;
  for (const auto& [path, id] : ids) paths.push_back(path);
  claim(paths);
  for (const std::string& path : paths) {
    end(begin(path, "hello"));
    REQUIRE(replace_file(remote(path), "hello"));
  }
  die();
  auto other_store =
      std::move(*metastore::open_metastore((folder.path() / "metastore").string(), {}));
  Recorder other;
  Result<TransferSummary> one = make_error(ErrorKind::kFailed, "not run");
  {
    std::jthread second([&] {
      StopToken no_stop;
      one = deliver(*other_store, destination, options, other, no_stop);
    });
    const auto two = run();
    second.join();
    REQUIRE(one);
    REQUIRE(two);
    CHECK(one->batches.size() + two->batches.size() == 1);
    CHECK(recorder.bytes + other.bytes == 0);
  }
  for (const std::string& path : paths) CHECK(rows_of(path).size() == 2);
}

// Destinations.

TEST_CASE_FIXTURE(Fixture, "a dead batch of one destination is not another's business") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "hello"));
  die();
  REQUIRE(make_directories(remote("c")));
  Destination other = destination;
  other.name = "c";
  other.directory = remote("c").string();
  Recorder second;
  const auto summary = deliver(*store, other, options, second, stop);
  CHECK(fs::path(only_batch(summary).control_file).parent_path() == remote("c"));
  CHECK(second.bytes == 5);
  CHECK(read_file(remote("c/a")).value() == "hello");
  CHECK(fs::exists(journal_path()));
  CHECK_FALSE(fs::exists(control_path()));
  CHECK(only_batch(run()).id == batch_id);
  CHECK(recorder.bytes == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "destinations that get files of the same names go on from their own parts") {
  constexpr std::size_t kSize = 16'000'000;
  const std::string id = register_file("a", pattern(kSize));
  destination.connections = 1;
  recorder.on_progress = [&] {
    if (recorder.bytes > kSize / 2) stop.request_stop();
  };
  CHECK(run().error().kind == ErrorKind::kCancelled);
  const std::string part = Journal::part_path_in(options.journals, id, "b");
  REQUIRE_FALSE(part.empty());
  REQUIRE(make_directories(remote("c")));
  Destination other = destination;
  other.name = "c";
  SUBCASE("in another directory") {
    other.directory = remote("c").string();
  }
  SUBCASE("even under the same path, on another server") {}
  StopToken again;
  Recorder second;
  CHECK(deliver(*store, other, options, second, again)->successful == 1);
  CHECK(second.bytes == kSize);
  CHECK(Journal::part_path_in(options.journals, id, "b") == part);
  CHECK(fs::exists(part));
  Recorder third;
  CHECK(deliver(*store, destination, options, third, again)->successful == 1);
  CHECK(third.bytes < kSize * 3 / 4);
  CHECK(read_file(remote("a")).value() == pattern(kSize));
  CHECK(fs::is_empty(options.journals));
}

// All or nothing.

namespace {

/// Files "a" and "b", uploaded.
struct AllOrNothing : Fixture {
  Place a = 0;
  Place b = 0;

  AllOrNothing() {
    options.batch = BatchMode::kAllOrNothing;
    register_file("a", "hello");
    register_file("b", "other");
    claim({"a", "b"}, true);
    a = begin("a", "hello");
    b = begin("b", "other");
    REQUIRE(replace_file(part_of("a"), "hello"));
    REQUIRE(replace_file(part_of("b"), "other"));
    REQUIRE(journal->note_uploaded(a));
    REQUIRE(journal->note_uploaded(b));
  }
  void name_at_server(const std::string& path) const { fs::rename(part_of(path), remote(path)); }
  void check_all_is_recorded(const std::string& batch) {
    for (const char* path : {"a", "b"}) {
      CHECK(rows_of(path).back().status == TransferStatus::kSuccessful);
      CHECK(rows_of(path).back().batch_id == batch);
      CHECK(fs::exists(remote(path)));
    }
    check_no_part_is_left();
    CHECK_FALSE(fs::exists(journal_path()));
  }
};

}  // namespace

TEST_CASE_FIXTURE(AllOrNothing, "names that were being given are all given") {
  REQUIRE(journal->note_naming());
  SUBCASE("none was") {}
  SUBCASE("one was") {
    name_at_server("a");
    end(a);
  }
  SUBCASE("one was, and that was not heard of any more") {
    name_at_server("b");
  }
  SUBCASE("all were") {
    name_at_server("a");
    name_at_server("b");
    end(b);
    end(a);
  }
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id == batch_id);
  CHECK(only_batch(summary).successful == 2);
  Paths listed = listed_in(control_path());
  std::ranges::sort(listed);
  CHECK(listed == Paths{"a", "b"});
  CHECK(recorder.bytes == 0);
  CHECK(recorder.delivered.size() == 2);
  check_all_is_recorded(batch_id);
}

TEST_CASE_FIXTURE(AllOrNothing, "of a part that was begun anew the last is what gets the name") {
  REQUIRE(journal->note_part(a, part_of("a", 1)));
  fs::rename(part_of("a"), part_of("a", 1));
  REQUIRE(journal->note_naming());
  die();
  CHECK(only_batch(run()).successful == 2);
  check_all_is_recorded(batch_id);
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "a batch that was not all there is removed, and delivered as another") {
  SUBCASE("all was uploaded, and no name given yet") {}
  SUBCASE("a part is not whole") {
    REQUIRE(replace_file(part_of("b"), "oth"));
  }
  die();
  const auto summary = run();
  CHECK(only_batch(summary).id != batch_id);
  CHECK_FALSE(fs::exists(control_path()));
  check_all_is_recorded(only_batch(summary).id);
}

TEST_CASE_FIXTURE(AllOrNothing, "a batch that can no longer get all its names loses them") {
  REQUIRE(journal->note_naming());
  SUBCASE("its own names") {
    name_at_server("a");
    end(a);
  }
  SUBCASE("one that was not heard of any more") {
    name_at_server("a");
  }
  SUBCASE("none has one") {}
  fs::remove(part_of("b"));
  INFO("nothing is delivered again, so that it can be seen");
  options.max_attempts = 1;
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->batches.empty());
  CHECK(summary->successful == 0);
  CHECK(names_at_destination().empty());
  for (const char* path : {"a", "b"}) {
    CHECK(rows_of(path).back().status == TransferStatus::kFailed);
    CHECK(rows_of(path).back().error->message.contains("rolled back"));
  }
  CHECK_FALSE(fs::exists(journal_path()));
  INFO("and the next run delivers it as another batch");
  options.max_attempts = 5;
  const auto next = run();
  check_all_is_recorded(only_batch(next).id);
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "what had its name before the batch came keeps it when that is rolled back") {
  REQUIRE(journal->note_existing(a));
  REQUIRE(journal->note_naming());
  name_at_server("a");
  end(a);
  fs::remove(part_of("b"));
  options.max_attempts = 1;
  die();
  REQUIRE(run());
  CHECK(rows_of("b").back().status == TransferStatus::kFailed);
  CHECK(names_at_destination() == Paths{"a"});
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "what was replaced is put back, unless somebody else has the name") {
  REQUIRE(journal->note_existing(a));
  REQUIRE(journal->note_naming());
  REQUIRE(replace_file(aside_of("a"), "before"));
  std::string left = "before";
  bool is_kept = false;
  SUBCASE("it was replaced") {
    name_at_server("a");
    end(a);
  }
  SUBCASE("it was replaced, and that was not heard of any more") {
    name_at_server("a");
  }
  SUBCASE("it was about to be: it has both names") {
    fs::create_hard_link(aside_of("a"), remote("a"));
  }
  SUBCASE("it was about to be: it has no other name") {}
  SUBCASE("somebody has taken the new one away") {
    end(a);
    fs::remove(part_of("a"));
  }
  SUBCASE("somebody else has the name") {
    end(a);
    fs::remove(part_of("a"));
    left = "his!!";  // of the size of what was sent
    is_kept = true;
    REQUIRE(replace_file(remote("a"), left));
  }
  fs::remove(part_of("b"));
  options.max_attempts = 1;
  die();
  REQUIRE(run());
  CHECK(read_file(remote("a")).value_or("") == left);
  CHECK(fs::exists(aside_of("a")) == is_kept);
  CHECK(rows_of("a").back().status == TransferStatus::kFailed);
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "of somebody else's file under a name that was given nothing is taken") {
  REQUIRE(journal->note_naming());
  end(a);
  fs::remove(part_of("a"));
  SUBCASE("of the same size") {
    REQUIRE(replace_file(remote("a"), "his!!"));
  }
  SUBCASE("of another") {
    REQUIRE(replace_file(remote("a"), "somebody else's"));
  }
  const std::string theirs = read_file(remote("a")).value();
  fs::remove(part_of("b"));
  options.max_attempts = 1;
  die();
  REQUIRE(run());
  CHECK(read_file(remote("a")).value_or("") == theirs);
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "what was replaced is not kept any longer than it may be put back") {
  REQUIRE(journal->note_existing(a));
  REQUIRE(journal->note_naming());
  REQUIRE(replace_file(aside_of("a"), "before"));
  SUBCASE("the batch is completed") {}
  SUBCASE("it had been") {
    for (const char* path : {"a", "b"}) name_at_server(path);
    end(a);
    end(b);
    REQUIRE(journal->note_pushed());
  }
  die();
  REQUIRE(run());
  CHECK(read_file(remote("a")).value_or("") == "hello");
  CHECK_FALSE(fs::exists(aside_of("a")));
}

TEST_CASE_FIXTURE(AllOrNothing, "a roll back that was begun is not followed by names") {
  REQUIRE(journal->note_naming());
  REQUIRE(journal->note_rolling_back());
  name_at_server("a");
  end(a);
  options.max_attempts = 1;
  die();
  REQUIRE(run());
  CHECK(names_at_destination().empty());
  CHECK(rows_of("b").back().error->message.contains("rolled back"));
}

TEST_CASE_FIXTURE(AllOrNothing,
                  "names that were all given are not believed if the server is a new one") {
  REQUIRE(journal->note_naming());
  end(a);
  end(b);
  empty_the_server();
  die();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(read_file(remote("a")).value_or("") == "hello");
  CHECK(read_file(remote("b")).value_or("") == "other");
  CHECK(rows_of("a").back().batch_id != batch_id);
}
