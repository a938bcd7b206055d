// What is made of batches whose agent has died.
#include "transfer/batch/recovery.h"

#include <algorithm>
#include <thread>

#include "transfer/deliver/journal.h"
#include "transfer/recovery_fixture.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

// What is under its final name.

TEST_CASE_FIXTURE(DeadAgent,
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

TEST_CASE_FIXTURE(DeadAgent, "what it had not begun is delivered in a batch of its own") {
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

TEST_CASE_FIXTURE(DeadAgent,
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

TEST_CASE_FIXTURE(DeadAgent,
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

TEST_CASE_FIXTURE(DeadAgent, "what a receiver took that gets no list is not sent again") {
  control = ControlFormat::kNone;
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  std::size_t sent = 0;
  SUBCASE("it is gone") {}
  SUBCASE("it is gone, and the server has its part: it lost the name") {
    REQUIRE(replace_file(part_of("a"), "hello"));
    sent = 5;
  }
  SUBCASE("something else is there") {
    REQUIRE(replace_file(remote("a"), "hell"));
    sent = 5;
  }
  die();
  const auto summary = run();
  CHECK(only_batch(summary).successful == 1);
  CHECK(recorder.bytes == sent);
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
  CHECK(fs::exists(remote("a")) == (sent > 0));
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(
    DeadAgent, "an older file of the same name and size is not taken for the one that was sent") {
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

TEST_CASE_FIXTURE(DeadAgent, "a batch of which nothing was delivered gets no control file") {
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

TEST_CASE_FIXTURE(DeadAgent, "what had failed is recorded, once, and tried again") {
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

// Whose batch it is.

TEST_CASE_FIXTURE(DeadAgent, "the batch of a running agent is left alone") {
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

TEST_CASE_FIXTURE(DeadAgent, "what goes on in a later batch is that batch's") {
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

TEST_CASE_FIXTURE(DeadAgent,
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

TEST_CASE_FIXTURE(DeadAgent, "a journal whose last line is torn is completed as far as it goes") {
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

TEST_CASE_FIXTURE(DeadAgent, "two agents that find a dead one's batch complete it once") {
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
  Outcome<TransferSummary> one = fail(make_error(ErrorKind::kFailed, "not run"));
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

TEST_CASE_FIXTURE(DeadAgent, "a dead batch of one destination is not another's business") {
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

TEST_CASE_FIXTURE(DeadAgent,
                  "destinations that get files of the same names go on from their own parts") {
  constexpr std::size_t kSize = 16'000'000;
  const std::string id = register_file("a", pattern(kSize));
  destination.connections = 1;
  recorder.on_progress = [&] {
    if (recorder.bytes > kSize / 2) stop.request_stop();
  };
  CHECK(run()->was_stopped);
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
