// What is pushed beside files.
#include "transfer/batch/pushing.h"
#include "ferry/base/uuid.h"
#include "transfer/agent_fixture.h"
#include "transfer/batch/sidecars.h"
#include "transfer/deliver/session.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

namespace {

class Presence : public metastore::AgentPresence {
 public:
  const std::string& name() const override { return name_; }
  Tenure tenure() const override { return tenure_; }

  void lose() { tenure_ = Tenure::kLost; }

 private:
  const std::string name_ = "host-1-x";
  Tenure tenure_ = Tenure::kHeld;
};

struct Fixture : AgentFixture {
  std::shared_ptr<Presence> presence = std::make_shared<Presence>();
  StopToken stop;
  std::shared_ptr<std::atomic<unsigned>> lost_connections =
      std::make_shared<std::atomic<unsigned>>(0);
  RateLimiter limiter{destination.bandwidth};
  Session session{stop};

  Fixture() { REQUIRE(connect(session, destination, options, limiter)); }

  std::unique_ptr<Batch> open_batch(Sidecar sidecar) const {
    auto batch = Batch::open(options.control_files, {.id = uuid_v7(),
                                                     .agent = presence->name(),
                                                     .destination = destination.name,
                                                     .directory = destination.directory,
                                                     .control_path = remote("list").string(),
                                                     .created = now(),
                                                     .all_or_nothing = false,
                                                     .control = ControlFormat::kJson,
                                                     .sidecar = sidecar});
    REQUIRE(batch);
    return std::move(*batch);
  }
  Result<void> push(Batch& batch) {
    const std::string text = "{}";
    const fs::path copy = options.control_files / "copy";
    REQUIRE(replace_file(copy, text));
    const KeptControlFile kept{.list = KeptFile{.path = copy,
                                                .fd = std::move(*open_file(copy, O_RDONLY)),
                                                .size = text.size(),
                                                .sha256 = sha256_of(text)},
                               .signature = {}};
    const BatchContext context{destination, options, stop, lost_connections};
    return session.loop->wait_for(finish_at_destination(session, batch, &kept, context));
  }
  void deliver(Batch& batch, const std::string& name) {
    const auto place = batch.journal().note_begun({.id = uuid_v7(),
                                                   .attempt = 1,
                                                   .remote_path = remote(name).string(),
                                                   .size = 1,
                                                   .sha256 = sha256_of("x"),
                                                   .source_sha256 = {},
                                                   .part_path = remote(".part").string()});
    REQUIRE(place);
    REQUIRE(batch.journal().note_end(*place, {.date = now()}));
  }
  bool is_named(const std::string& name) const { return fs::exists(remote(name)); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a control file gets its name from who holds the claims alone") {
  const auto batch = open_batch(Sidecar::kNone);
  batch->set_presence(presence);
  presence->lose();
  CHECK(push(*batch).error().kind == ErrorKind::kCancelled);
  CHECK_FALSE(is_named("list"));
  batch->set_presence(nullptr);
  CHECK(push(*batch));
  CHECK(names_at_destination() == std::vector<std::string>{"list"});
}

TEST_CASE_FIXTURE(Fixture, "a mark is noted before a list gets its name, and goes after that is") {
  const auto batch = open_batch(Sidecar::kNone);
  const BatchJournal& journal = batch->journal();
  std::string mark = mark_path(batch->info());
  SUBCASE("where files can be removed") {}
  SUBCASE("where they cannot there is none") {
    session.lets_remove = false;
    mark.clear();
  }
  REQUIRE(push(*batch));
  CHECK(journal.pushing()->mark_path == mark);
  CHECK(journal.pushing()->sha256 == sha256("{}"));
  CHECK((mark.empty() || (journal.is_pushed() && journal.is_synced(journal.end()))));
  CHECK(names_at_destination() == std::vector<std::string>{"list"});
}

TEST_CASE_FIXTURE(Fixture, "a control file is not pushed to where all that it lists is lost") {
  const auto batch = open_batch(Sidecar::kNone);
  const std::string mark = mark_path(batch->info());
  REQUIRE(batch->journal().note_pushing({.part_path = remote("part").string(), .mark_path = mark}));
  SUBCASE("a server that has the mark is what it was") {
    REQUIRE(replace_file(mark, ""));
    CHECK(push(*batch));
    CHECK(batch->journal().is_pushed());
  }
  SUBCASE("one that has not is another") {
    CHECK(push(*batch).error().kind == ErrorKind::kFailed);
    CHECK_FALSE(batch->journal().is_pushed());
    CHECK(push(*batch).error().kind == ErrorKind::kFailed);
  }
  CHECK(names_at_destination().empty());
}

TEST_CASE_FIXTURE(Fixture, "no list is pushed after a loss for files that are not there any more") {
  const auto batch = open_batch(Sidecar::kNone);
  deliver(*batch, "file");
  bool is_pushed = true;
  SUBCASE("as long as no connection was lost nobody looks") {}
  SUBCASE("after a loss") {
    ++*lost_connections;
    SUBCASE("the file is there") {
      REQUIRE(replace_file(remote("file"), "x"));
    }
    SUBCASE("it is gone") {
      is_pushed = false;
    }
    SUBCASE("it is another") {
      REQUIRE(replace_file(remote("file"), "longer"));
      is_pushed = false;
    }
  }
  CHECK(push(*batch).has_value() == is_pushed);
  CHECK(is_named("list") == is_pushed);
}

TEST_CASE_FIXTURE(Fixture, "sidecars get their names from who holds the claims alone") {
  const auto batch = open_batch(Sidecar::kSha256);
  deliver(*batch, "file");
  batch->set_presence(presence);
  presence->lose();
  CHECK_FALSE(session.loop->wait_for(push_sidecars(session, *batch, 0, options)));
  CHECK_FALSE(is_named("file.sha256"));
  batch->set_presence(nullptr);
  CHECK(session.loop->wait_for(push_sidecars(session, *batch, 1, options)));
  CHECK(is_named("file.sha256"));
}
