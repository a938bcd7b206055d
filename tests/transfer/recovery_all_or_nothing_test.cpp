// What is made of batches that are all or nothing, and whose agent has died.
#include "transfer/batch/recovery.h"

#include <algorithm>
#include <thread>

#include "transfer/deliver/journal.h"
#include "transfer/recovery_fixture.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

namespace {

/// Files "a" and "b", uploaded.
struct AllOrNothing : DeadAgent {
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
  SUBCASE("none has one, and the list was on its way") {
    REQUIRE(journal->note_try());
    REQUIRE(replace_file(control_part(), "{"));
  }
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

TEST_CASE_FIXTURE(AllOrNothing, "nothing is taken back of what a control file lists") {
  REQUIRE(journal->note_existing(b));
  REQUIRE(journal->note_naming());
  for (const char* path : {"a", "b"}) name_at_server(path);
  end(a);
  end(b);
  REQUIRE(replace_file(aside_of("b"), "before"));
  REQUIRE(journal->note_pushing({.part_path = control_part(), .mark_path = {}}));
  REQUIRE(replace_file(control_path(), "as it was read"));
  INFO("the receiver is about to take all of it away");
  fs::remove(remote("a"));
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(names_at_destination() == Paths{batch_id + ".control.json", "b"});
  CHECK(read_file(remote("b")).value() == "other");
  for (const char* path : {"a", "b"}) CHECK(rows_of(path).back().batch_id == batch_id);
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
