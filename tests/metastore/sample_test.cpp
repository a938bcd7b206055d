// The sample store beside the format document is what this program reads and writes. Its rows are
// checked against the JSON Schemas by test_schemas.py.

#include <algorithm>
#include <sstream>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::kTo;
using testing::must;
using testing::Standings;
using testing::StoreFixture;

class SampleFixture : public StoreFixture {
 public:
  static std::string sample(const std::string& name) {
    const fs::path root = fs::path(__FILE__).parent_path().parent_path().parent_path();
    return must(read_file(root / "metastore" / "sample" / name));
  }
  SampleFixture() {
    for (const char* name : {"metastore.json", "file_registry.jsonl", "transfer_logs.jsonl"}) {
      write(name, sample(name));
    }
  }
};

template <typename Parse>
void check_written_as_read(const std::string& table, Parse parse) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const auto record = must(parse(line));
    const bool foreign = !record.unknown_columns.empty();
    if (!foreign) CHECK(to_line(record) == line + "\n");
  }
}

TEST_CASE_FIXTURE(SampleFixture, "the sample's rows are written as they are read") {
  check_written_as_read(sample("file_registry.jsonl"), parse_file_record);
  check_written_as_read(sample("transfer_logs.jsonl"), parse_transfer_record);
}

TEST_CASE_FIXTURE(SampleFixture, "the sample shows the standings that its document tells of") {
  auto store = open();
  CHECK(must(store->upkeep().damaged_rows()) == 0);
  CHECK(standings(*store) == Standings{{"orders/2026-11-22.csv", {"successful"}},
                                       {"orders/returns 2026-11-22.csv", {"failed"}},
                                       {"stock/levels.json", {"superseded", "pending"}},
                                       {"invoices/4711.pdf", {"pending"}}});
  CHECK(exists("pending"));
  CHECK(content("file_registry.jsonl") == sample("file_registry.jsonl"));
}

}  // namespace
}  // namespace ferry::metastore
