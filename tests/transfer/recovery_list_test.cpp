// What becomes of the control file of a batch whose agent has died.
#include "transfer/batch/pushing.h"
#include "transfer/recovery_fixture.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

TEST_CASE_FIXTURE(
    DeadAgent, "what was listed is recorded, and the control file stays as the receiver found it") {
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

TEST_CASE_FIXTURE(DeadAgent,
                  "sidecars are pushed as the batch asks for, and no part of them is left") {
  sidecar = Sidecar::kSha256;
  deliver_by_hand("a", "hello");
  const std::string later_part =
      part_path(remote("a.sha256").string(), part_token(batch_id, ids.at("a"), 2));
  for (int i = 0; i < 3; ++i) REQUIRE(journal->note_try());
  REQUIRE(replace_file(later_part, "half"));
  die();
  CHECK(only_batch(run()).successful == 1);
  CHECK(read_file(remote("a.sha256")).value() == sha256("hello").to_hex() + "  a\n");
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(DeadAgent, "a control file that may be there already is pushed again") {
  deliver_by_hand("a", "hello");
  REQUIRE(replace_file(control_path(), "half of a contr"));
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(listed_in(control_path()) == Paths{"a"});
}

TEST_CASE_FIXTURE(DeadAgent, "a control file that got its name is not pushed again") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(journal->note_pushing({.part_path = control_part(), .mark_path = {}}));
  Paths left;
  SUBCASE("the receiver has read it, and taken the file away") {
    REQUIRE(replace_file(control_path(), "as it was read"));
    left = {batch_id + ".control.json"};
  }
  SUBCASE("the receiver has taken both away") {}
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
  CHECK(rows_of("a").back().batch_id == batch_id);
  CHECK(recorder.bytes == 0);
  CHECK(names_at_destination() == left);
  if (!left.empty()) CHECK(read_file(control_path()).value() == "as it was read");
}

TEST_CASE_FIXTURE(DeadAgent, "what a receiver has taken is told from what the server has lost") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  const std::string mark = mark_path(journal->info());
  REQUIRE(journal->note_pushing({.part_path = control_part(), .mark_path = mark}));
  const auto check_next_run = [&](const std::string& batch, Paths left) {
    CHECK(only_batch(run()).successful == 1);
    CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
    CHECK((rows_of("a").back().batch_id == batch_id) == (batch == batch_id));
    CHECK(names_at_destination().size() == left.size());
    CHECK_FALSE(fs::exists(journal_path()));
  };
  SUBCASE("taken") {
    REQUIRE(replace_file(mark, ""));
    die();
    check_next_run(batch_id, {});
    CHECK(recorder.bytes == 0);
  }
  SUBCASE("taken, which is known, but the mark lies there still") {
    REQUIRE(replace_file(mark, ""));
    REQUIRE(journal->note_pushed());
    die();
    check_next_run(batch_id, {});
    CHECK(recorder.bytes == 0);
  }
  SUBCASE("lost, with all that there was") {
    die();
    check_next_run("another", {"a", "its control file"});
    CHECK(read_file(remote("a")).value() == "hello");
    CHECK(recorder.bytes == 5);
  }
}

TEST_CASE_FIXTURE(DeadAgent, "what has a control file's name counts if it is that file") {
  deliver_by_hand("a", "hello");
  const std::string list = "the list";
  const std::string mark = mark_path(journal->info());
  REQUIRE(journal->note_pushing({.part_path = control_part(),
                                 .mark_path = mark,
                                 .size = list.size(),
                                 .sha256 = sha256(list)}));
  REQUIRE(replace_file(mark, ""));
  bool is_ours = false;
  SUBCASE("ours") {
    is_ours = true;
    REQUIRE(replace_file(control_path(), list));
  }
  SUBCASE("an earlier one of this name") {
    REQUIRE(replace_file(control_path(), "the lost"));
  }
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(rows_of("a").back().status == TransferStatus::kSuccessful);
  CHECK((read_file(control_path()).value() == list) == is_ours);
  if (!is_ours) CHECK(listed_in(control_path()) == Paths{"a"});
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(DeadAgent, "files of a list that was lost are known by their bytes") {
  register_file("a", "hello");
  claim({"a"});
  end(begin("a", "hello"));
  REQUIRE(replace_file(remote("a"), "older"));
  REQUIRE(journal->note_pushing(
      {.part_path = control_part(), .mark_path = mark_path(journal->info())}));
  SUBCASE("by default") {}
  SUBCASE("though nothing else is verified") {
    options.verify = Verify::kNone;
  }
  die();
  CHECK(run()->successful == 1);
  CHECK(read_file(remote("a")).value() == "hello");
}

TEST_CASE_FIXTURE(DeadAgent, "a control file that was about to get its name is pushed") {
  deliver_by_hand("a", "hello");
  REQUIRE(journal->note_pushing({.part_path = control_part(), .mark_path = {}}));
  SUBCASE("its part is there") {
    REQUIRE(replace_file(control_part(), "{"));
  }
  SUBCASE("somebody saw that it did not get it, and died when the part was gone") {
    REQUIRE(journal->note_not_pushed());
  }
  die();
  CHECK(only_batch(run()).id == batch_id);
  CHECK(listed_in(control_path()) == Paths{"a"});
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(DeadAgent, "part files of pushes are removed") {
  deliver_by_hand("a", "hello");
  for (unsigned n = 0; n < 20; ++n) {
    REQUIRE(journal->note_try() == n);
    REQUIRE(replace_file(part_path(control_path(), part_token(batch_id, batch_id, n)), "{"));
  }
  die();
  CHECK(only_batch(run()).id == batch_id);
  check_no_part_is_left();
}

TEST_CASE_FIXTURE(DeadAgent, "part files of pushes are removed, whichever of them are there") {
  deliver_by_hand("a", "hello");
  INFO("the first connection ended before it had made one");
  for (int i = 0; i < 2; ++i) REQUIRE(journal->note_try());
  REQUIRE(replace_file(part_path(control_path(), part_token(batch_id, batch_id, 1)), "{"));
  die();
  CHECK(only_batch(run()).id == batch_id);
  check_no_part_is_left();
}
